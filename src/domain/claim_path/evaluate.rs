//! What a path finds in the user's data.

use super::{ClaimPath, Filter, Operand, Operator, Step};
use crate::domain::exact_json::ExactJson;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluation {
    Found(ExactJson),
    /// The path leads nowhere, or to null.
    Missing,
}

/// The dialect tells "nothing matches", an empty array, from "no such thing", the default.
struct NoSuchThing;

impl ClaimPath {
    /// Follows this path through `user`.
    pub fn evaluate(&self, user: &ExactJson) -> Evaluation {
        let found = if self.keeps_shape {
            let names: Vec<&str> = self.steps.iter().filter_map(Step::name).collect();
            Some(keep_shape(&names, user))
        } else {
            self.collect(user).and_then(|found| {
                if self.has_many {
                    return Some(ExactJson::Array(found.into_iter().cloned().collect()));
                }
                found.into_iter().next().cloned()
            })
        };
        match found {
            None | Some(ExactJson::Null) => Evaluation::Missing,
            Some(value) => Evaluation::Found(value),
        }
    }

    fn collect<'a>(&self, user: &'a ExactJson) -> Option<Vec<&'a ExactJson>> {
        let mut values = vec![user];
        for step in &self.steps {
            values = step.apply(&values).ok()?;
        }
        Some(values)
    }
}

impl Step {
    fn name(&self) -> Option<&str> {
        if let Self::Field(name) = self { Some(name) } else { None }
    }

    fn apply<'a>(&self, values: &[&'a ExactJson]) -> Result<Vec<&'a ExactJson>, NoSuchThing> {
        match self {
            Self::Field(name) => fields(name, values),
            Self::Elements => elements(values, |array| Ok((0..array.len()).collect())),
            Self::Index(index) => elements(values, |array| {
                let at = position(*index, array.len()).filter(|at| *at < array.len());
                at.map(|at| vec![at]).ok_or(NoSuchThing)
            }),
            Self::Slice { from, to, step } => elements(values, |array| {
                let length = array.len();
                let from = position(from.unwrap_or(0), length).unwrap_or(0);
                let to = to.map_or(Some(length), |to| position(to, length)).unwrap_or(0);
                Ok((from..to.min(length)).step_by(*step).collect())
            }),
            Self::Children => Ok(values.iter().flat_map(|value| children(value)).collect()),
            Self::Descendants => {
                let mut all = Vec::new();
                for value in values {
                    descend(value, &mut all);
                }
                Ok(all)
            }
            Self::Filter(filter) => {
                let mut kept = Vec::new();
                for value in values {
                    let ExactJson::Array(array) = value else { return Err(NoSuchThing) };
                    kept.extend(array.iter().filter(|element| filter.is_true_of(element)));
                }
                Ok(kept)
            }
        }
    }
}

/// It is an error if none of several has the member, but not if there are none.
fn fields<'a>(name: &str, values: &[&'a ExactJson]) -> Result<Vec<&'a ExactJson>, NoSuchThing> {
    let found: Vec<&ExactJson> = values.iter().filter_map(|value| value.get(name)).collect();
    if found.is_empty() && !values.is_empty() { Err(NoSuchThing) } else { Ok(found) }
}

/// The chosen elements of each array. Null has none; and behind an empty array the dialect looks no further.
fn elements<'a>(
    values: &[&'a ExactJson],
    choose: impl Fn(&[ExactJson]) -> Result<Vec<usize>, NoSuchThing>,
) -> Result<Vec<&'a ExactJson>, NoSuchThing> {
    let mut chosen = Vec::new();
    for value in values {
        match value {
            ExactJson::Null => {}
            ExactJson::Array(array) => {
                let indices = choose(array)?;
                if indices.is_empty() {
                    break;
                }
                chosen.extend(indices.into_iter().map(|at| &array[at]));
            }
            _ => return Err(NoSuchThing),
        }
    }
    Ok(chosen)
}

/// Negative indices count from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    if let Ok(index) = usize::try_from(index) {
        return Some(index);
    }
    length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
}

fn children(value: &ExactJson) -> Vec<&ExactJson> {
    match value {
        ExactJson::Array(array) => array.iter().collect(),
        ExactJson::Object(object) => object.values().collect(),
        _ => Vec::new(),
    }
}

/// Values nest at most as deep as the JSON reader allows.
fn descend<'a>(value: &'a ExactJson, all: &mut Vec<&'a ExactJson>) {
    all.push(value);
    for child in children(value) {
        descend(child, all);
    }
}

/// The way of paths that end with `[]`: arrays on the way stay arrays, what is missing becomes null.
fn keep_shape(names: &[&str], value: &ExactJson) -> ExactJson {
    let Some((name, rest)) = names.split_first() else { return value.clone() };
    match value {
        ExactJson::Array(array) => array.iter().map(|element| keep_shape(names, element)).collect(),
        ExactJson::Object(object) => {
            object.get(*name).map_or(ExactJson::Null, |member| keep_shape(rest, member))
        }
        _ => ExactJson::Null,
    }
}

impl Filter {
    fn is_true_of(&self, element: &ExactJson) -> bool {
        let Some(left) = self.left.value(element) else { return false };
        match &self.comparison {
            None => true,
            Some((operator, right)) => {
                right.value(element).is_some_and(|right| operator.holds(left, right))
            }
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, element: &'a ExactJson) -> Option<&'a ExactJson> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Element(names) => {
                names.iter().try_fold(element, |value, name| value.get(name.as_str()))
            }
        }
    }
}

impl Operator {
    fn holds(self, left: &ExactJson, right: &ExactJson) -> bool {
        use std::cmp::Ordering;
        let order = match (left, right) {
            (ExactJson::String(left), ExactJson::String(right)) => Some(left.cmp(right)),
            (ExactJson::Number(left), ExactJson::Number(right)) => Some(left.cmp(right)),
            _ if left == right => Some(Ordering::Equal),
            // What cannot be compared is neither less nor greater, only different.
            _ => None,
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}
