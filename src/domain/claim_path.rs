//! Paths of custom claims: Kubernetes' dialect of `JSONPath`, from the user object on, `[]` for `[*]`.

mod evaluate;
mod parse;
mod selection;

pub use self::evaluate::Evaluation;
pub use self::parse::InvalidPath;
pub use self::selection::Selection;

use super::exact_json::ExactJson;

/// The path of one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimPath {
    steps: Vec<Step>,
    /// Its result is an array of everything that matches.
    has_many: bool,
    /// It ends with `[]`, and has its results in the shape of the data.
    keeps_shape: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `name` or `['name']`.
    Field(String),
    /// `[*]`: the elements of an array.
    Elements,
    /// `*`: everything inside an object or an array.
    Children,
    /// `..`: the value and all that is inside it, however deep.
    Descendants,
    /// `[1]`, `[-1]`.
    Index(i64),
    /// `[from:to:step]`.
    Slice { from: Option<i64>, to: Option<i64>, step: usize },
    /// `[?(@.name == 'value')]`: the elements of which this is true.
    Filter(Filter),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Operand,
    /// `None`: it is enough that the left side exists.
    comparison: Option<(Operator, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    /// `@.a.b`.
    Element(Vec<String>),
    Literal(ExactJson),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
