use super::*;
use crate::config::rows::actors::{SESSION_BATCH_MAX, SESSION_MAX_IN_FLIGHT};

fn cluster(value: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(SESSION_BATCH_MAX.variable, value.to_owned())])
}

fn seen(sources: &Sources) -> (String, &'static str) {
    (sources.effective(&SESSION_BATCH_MAX), sources.provenance(&SESSION_BATCH_MAX).name())
}

#[test]
fn a_value_is_told_with_where_it_comes_from() {
    let variable = SESSION_BATCH_MAX.variable;
    let none = Sources::default();
    assert_eq!(seen(&none), ("256".to_owned(), "default"));
    let fallback = none.with_fallback(&SESSION_BATCH_MAX, "1");
    assert_eq!(seen(&fallback), ("1".to_owned(), "default"));
    let mut sources = Sources::from_env([(variable, "2")]);
    assert_eq!(seen(&sources), ("2".to_owned(), "environment"));
    sources.file.insert(variable.to_owned(), "3".to_owned());
    assert_eq!(seen(&sources), ("2".to_owned(), "environment"), "the process wins at a start");
    sources.file_wins = true;
    assert_eq!(seen(&sources), ("3".to_owned(), "file"));
    let flag = SESSION_BATCH_MAX.flag.unwrap();
    let sources = sources.with_flag(flag, "4");
    assert_eq!(seen(&sources), ("4".to_owned(), "flag"));
    let sources = sources.with_cluster(cluster("5"));
    assert_eq!(seen(&sources), ("5".to_owned(), "cluster"));
    let sources = sources.with_override(&SESSION_BATCH_MAX, Some("6".to_owned()));
    assert_eq!(seen(&sources), ("6".to_owned(), "node"));
}

#[test]
fn what_is_new_for_all_nodes_wins_over_what_was_set_here_before() {
    let here = |sources: Sources| {
        let sources = sources.with_override(&SESSION_BATCH_MAX, Some("6".to_owned()));
        sources.with_override(&SESSION_MAX_IN_FLIGHT, Some("7".to_owned()))
    };
    let sources = here(Sources::default().with_cluster(cluster("5")));
    let same = sources.clone().with_cluster(cluster("5"));
    assert_eq!(seen(&same), ("6".to_owned(), "node"));
    let sources = sources.with_cluster(cluster("8"));
    assert_eq!(seen(&sources), ("8".to_owned(), "cluster"));
    assert_eq!(sources.effective(&SESSION_MAX_IN_FLIGHT), "7", "another setting stays");
    let sources = here(sources).with_cluster(BTreeMap::new());
    assert_eq!(seen(&sources), ("6".to_owned(), "node"), "taken back for all, set here since");
}
