//! What has to be read so that paths can be followed: a tree of names.

use std::collections::BTreeMap;

use super::{ClaimPath, Filter, Operand, Step};

/// A JSON column: what is below it comes with it.
const JSON_COLUMN: &str = "metadata";

/// Fields by name; what is empty is a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub fields: BTreeMap<String, Selection>,
}

/// A path goes on, before it reaches `metadata`, with something that cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only what is below metadata can be named like this")]
pub struct NotSelectable;

impl Selection {
    /// Adds what `path` needs.
    pub fn add(&mut self, path: &ClaimPath) -> Result<(), NotSelectable> {
        let mut at = self;
        for step in &path.steps {
            match step {
                Step::Field(name) => {
                    at = at.enter(name)?;
                    if name == JSON_COLUMN {
                        return Ok(());
                    }
                }
                Step::Filter(filter) => at.add_filter(filter)?,
                Step::Children | Step::Descendants => return Err(NotSelectable),
                Step::Elements | Step::Index(_) | Step::Slice { .. } => {}
            }
        }
        Ok(())
    }

    fn add_filter(&mut self, filter: &Filter) -> Result<(), NotSelectable> {
        let right = filter.comparison.iter().map(|(_, right)| right);
        for operand in std::iter::once(&filter.left).chain(right) {
            if let Operand::Element(names) = operand {
                let mut at = &mut *self;
                for name in names {
                    at = at.enter(name)?;
                    if name == JSON_COLUMN {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Names go into the text of a query: nothing but a name of GraphQL may.
    fn enter(&mut self, name: &str) -> Result<&mut Self, NotSelectable> {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !is_name {
            return Err(NotSelectable);
        }
        Ok(self.fields.entry(name.to_owned()).or_default())
    }

    /// As a selection set of GraphQL.
    pub fn graphql(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        text.push('{');
        for (name, below) in &self.fields {
            text.push_str(name);
            if below.fields.is_empty() {
                text.push(' ');
            } else {
                below.write(text);
            }
        }
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(paths: &[&str]) -> Result<String, NotSelectable> {
        let mut selection = Selection::default();
        for path in paths {
            selection.add(&ClaimPath::parse(path).unwrap())?;
        }
        Ok(selection.graphql())
    }

    #[test]
    fn paths_are_merged_into_one_sorted_tree() {
        let paths = [
            "m",
            "m.k",
            "m.l[2]",
            "m.l[]",
            "m.l[*]",
            "m.lm[].id",
            "m.lm[*].id",
            "m.lm.id[]",
            "m.l2[]",
            "metadata.m1",
            "nonexistent.nonexistent",
            "m.d[?(@.v == 'a')].id",
        ];
        let tree = "{m{d{id v }k l l2 lm{id }}metadata nonexistent{nonexistent }}";
        assert_eq!(select(&paths).unwrap(), tree);
        let paths =
            ["org.id", "tags[]", "teams[*].id", "teams[?(@.role=='admin')].id", "metadata.x.y"];
        assert_eq!(select(&paths).unwrap(), "{metadata org{id }tags teams{id role }}");
    }

    #[test]
    fn nothing_but_names_gets_into_a_query() {
        for path in ["a-b", "*", "a.*", "a..b", "a['b } { c']", "a[?(@.b-c == 1)]", "1a", "é"] {
            assert_eq!(select(&[path]), Err(NotSelectable), "{path}");
        }
        assert_eq!(
            select(&["metadata.a-b.*", "org.metadata..x"]).unwrap(),
            "{metadata org{metadata }}"
        );
    }
}
