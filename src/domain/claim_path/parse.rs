//! From the text of a path to its steps.

use super::{ClaimPath, Filter, Operand, Operator, Step};
use crate::domain::exact_json::ExactJson;

/// A path is a line in a configuration; nothing sensible is longer.
const LONGEST_PATH: usize = 1_000;

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}, at character {at}")]
pub struct InvalidPath {
    reason: &'static str,
    at: usize,
}

impl ClaimPath {
    /// Reads a path such as `orgs[?(@.role == 'admin')].id`.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.len() > LONGEST_PATH {
            return Err(InvalidPath { reason: "too long", at: LONGEST_PATH });
        }
        let mut parser = Parser { rest: text, length: text.len() };
        let steps = parser.steps()?;
        let many = |step: &Step| matches!(step, Step::Elements | Step::Filter(_));
        let only_names = steps.iter().all(|step| matches!(step, Step::Field(_) | Step::Elements));
        Ok(Self {
            has_many: steps.iter().any(many),
            keeps_shape: only_names && text.ends_with("[]"),
            steps,
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
    length: usize,
}

impl<'a> Parser<'a> {
    fn steps(&mut self) -> Result<Vec<Step>, InvalidPath> {
        let mut steps = Vec::new();
        // A dot in front is the dialect's own way to begin.
        let _ = !self.rest.starts_with("..") && self.eat(".");
        loop {
            if self.eat("*") {
                steps.push(Step::Children);
            } else if !self.rest.starts_with('[') {
                steps.push(Step::Field(self.name()?.to_owned()));
            }
            while self.eat("[") {
                steps.push(self.bracket()?);
            }
            if self.rest.is_empty() {
                return Ok(steps);
            }
            if self.eat("..") {
                steps.push(Step::Descendants);
            } else if !self.eat(".") {
                return Err(self.error("expected a dot or a bracket"));
            }
        }
    }

    /// What stands between brackets, the first of which is behind us.
    fn bracket(&mut self) -> Result<Step, InvalidPath> {
        self.skip_blanks();
        let step = if self.rest.starts_with(']') || self.eat("*") {
            Step::Elements
        } else if self.eat("?") {
            self.skip_blanks();
            self.expect("(")?;
            let filter = self.filter()?;
            self.expect(")")?;
            Step::Filter(filter)
        } else if self.rest.starts_with(['\'', '"']) {
            Step::Field(self.quoted()?)
        } else {
            self.index_or_slice()?
        };
        self.skip_blanks();
        self.expect("]")?;
        Ok(step)
    }

    fn index_or_slice(&mut self) -> Result<Step, InvalidPath> {
        let from = self.integer()?;
        self.skip_blanks();
        if !self.eat(":") {
            return from.map(Step::Index).ok_or_else(|| self.error("expected an index"));
        }
        let to = self.integer()?;
        self.skip_blanks();
        let step = if self.eat(":") { self.integer()?.unwrap_or(1) } else { 1 };
        let step = usize::try_from(step).ok().filter(|step| *step > 0);
        let step = step.ok_or_else(|| self.error("the step of a slice must be positive"))?;
        Ok(Step::Slice { from, to, step })
    }

    fn filter(&mut self) -> Result<Filter, InvalidPath> {
        let left = self.operand()?;
        self.skip_blanks();
        if self.rest.starts_with(')') {
            return Ok(Filter { left, comparison: None });
        }
        let operator = self.operator()?;
        let right = self.operand()?;
        self.skip_blanks();
        Ok(Filter { left, comparison: Some((operator, right)) })
    }

    fn operator(&mut self) -> Result<Operator, InvalidPath> {
        // Longer ones first.
        for (text, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.eat(text) {
                return Ok(operator);
            }
        }
        Err(self.error("expected one of == != < > <= >="))
    }

    fn operand(&mut self) -> Result<Operand, InvalidPath> {
        self.skip_blanks();
        if self.eat("@") {
            let mut names = Vec::new();
            while self.eat(".") {
                names.push(self.name()?.to_owned());
            }
            return Ok(Operand::Element(names));
        }
        if self.rest.starts_with(['\'', '"']) {
            return self.quoted().map(|text| Operand::Literal(ExactJson::String(text)));
        }
        let end = self.rest.find([')', ' ', '=', '!', '<', '>']).unwrap_or(self.rest.len());
        let literal = serde_json::from_str(&self.rest[..end])
            .map_err(|_| self.error("expected @.name, a quoted text, a number, true or false"))?;
        self.rest = &self.rest[end..];
        Ok(Operand::Literal(literal))
    }

    fn quoted(&mut self) -> Result<String, InvalidPath> {
        let Some(quote) = self.rest.chars().next() else {
            return Err(self.error("expected a text"));
        };
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.rest = &self.rest[at + quote.len_utf8()..];
                return Ok(text);
            }
            let escaped = if character == '\\' { characters.next() } else { None };
            text.push(escaped.map_or(character, |(_, escaped)| escaped));
        }
        Err(self.error("a text does not end"))
    }

    fn name(&mut self) -> Result<&'a str, InvalidPath> {
        let delimiter = |c: char| c.is_whitespace() || ".[](){}@*?'\"=!<>,:$|\\".contains(c);
        let end = self.rest.find(delimiter).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.error("expected a name"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name)
    }

    fn integer(&mut self) -> Result<Option<i64>, InvalidPath> {
        self.skip_blanks();
        let is_part = |c: char| c == '-' || c.is_ascii_digit();
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Ok(None);
        }
        let number = self.rest[..end].parse().map_err(|_| self.error("expected an index"))?;
        self.rest = &self.rest[end..];
        Ok(Some(number))
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, text: &'static str) -> Result<(), InvalidPath> {
        if self.eat(text) { Ok(()) } else { Err(self.error("a bracket does not end as it should")) }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn error(&self, reason: &'static str) -> InvalidPath {
        InvalidPath { reason, at: self.length - self.rest.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_kind_are_read() {
        for path in [
            "id",
            ".id",
            "a.b.c",
            "a[]",
            "a[*].b",
            "a[0].b",
            "a[-1]",
            "a[1:3]",
            "a[:2]",
            "a[0:4:2]",
            "a['b']",
            "a[\"b\"].c",
            "a[?(@.b == 'c')].d",
            "a[?(@.b=='c')]",
            "a[?(@.b > 1.5)]",
            "a[?( @.b != true )]",
            "a[?(@.b)]",
            "metadata.*",
            "metadata..id",
            "naïve.ключ",
            "a-b_c",
        ] {
            assert!(ClaimPath::parse(path).is_ok(), "{path}: {:?}", ClaimPath::parse(path));
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "",
            ".",
            "a.",
            "a..",
            "a[",
            "a]",
            "a[b]",
            "a[1",
            "a[?(@.b]",
            "a[?(b)]",
            "a[?(@.b = 'c')]",
            "a['b]",
            "a b",
            "a{b}",
            "a}",
            "$.a",
            "a[1:2:0]",
            "a[--1]",
            "a[99999999999999999999]",
            &"a".repeat(2_000),
        ] {
            assert!(ClaimPath::parse(path).is_err(), "{path}: {:?}", ClaimPath::parse(path));
        }
    }
}
