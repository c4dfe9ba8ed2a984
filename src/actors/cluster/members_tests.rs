use serde_json::json;
use time::OffsetDateTime;

use super::NodeState::{Draining, Gone, Live, Replaced, Stopped};
use super::*;
use crate::persistence::stored_time::StoredTime;

/// A node that started as the `n`-th.
fn row(n: u8) -> NodeRow {
    NodeRow {
        id: Uuid::from_bytes([n; 16]),
        name: format!("node-{n}"),
        version: "0.4.1".to_owned(),
        started_at: StoredTime(OffsetDateTime::from_unix_timestamp(i64::from(n)).unwrap()),
        uptime_s: 60.0,
        silent_s: 0.5,
        is_stopped: false,
        host: "127.0.0.1".to_owned(),
        port: 4_000,
        admin_host: None,
        admin_port: None,
        clock_ms: 3,
        fingerprints: json!({"jwtKeys": "a", "rotationKey": "b", "encryptionKey": "c", "storedForms": "keywright"}),
        knobs: Vec::new(),
        digest: json!({}),
    }
}

/// A change of a row.
type Odd = Box<dyn Fn(&mut NodeRow)>;

fn with(n: u8, change: impl FnOnce(&mut NodeRow)) -> NodeRow {
    let mut row = row(n);
    change(&mut row);
    row
}

fn states(rows: &[NodeRow], age_ms: u64) -> Vec<NodeState> {
    assess(rows, Duration::from_millis(age_ms)).iter().map(|member| member.state).collect()
}

fn disagreeing(rows: &[NodeRow]) -> Vec<Vec<Subject>> {
    assess(rows, Duration::ZERO).into_iter().map(|member| member.disagrees).collect()
}

#[test]
fn a_node_is_gone_after_three_seconds_and_stopped_once_it_has_said_so() {
    let rows = [
        row(1),
        with(2, |row| row.is_stopped = true),
        with(3, |row| row.silent_s = 2.9),
        with(4, |row| row.digest = json!({"draining": true})),
    ];
    assert_eq!(states(&rows, 0), [Live, Stopped, Live, Draining]);
    assert_eq!(states(&rows, 200), [Live, Stopped, Gone, Draining]);
    assert_eq!(states(&rows, 10_000), [Gone, Stopped, Gone, Gone]);
}

#[test]
fn a_node_that_is_gone_is_no_alarm_once_another_of_its_name_lives() {
    let rows = [
        with(1, |row| row.silent_s = 60.0),
        with(2, |row| row.name = "node-1".to_owned()),
        with(3, |row| row.silent_s = 60.0),
    ];
    assert_eq!(states(&rows, 0), [Replaced, Live, Gone]);
}

#[test]
fn equal_nodes_agree() {
    assert_eq!(disagreeing(&[row(1), row(2), row(3)]), [vec![], vec![], vec![]]);
}

/// Every subject has a row here.
#[test]
fn who_differs_from_most_of_the_living_disagrees() {
    let told = |member: &str, value: &str| {
        let mut prints = row(1).fingerprints;
        prints[member] = json!(value);
        prints
    };
    let cases: [(Subject, Odd); 7] = [
        (Subject::JwtKeys, Box::new(move |row| row.fingerprints = told("jwtKeys", "x"))),
        (Subject::RotationKey, Box::new(move |row| row.fingerprints = told("rotationKey", "x"))),
        (
            Subject::EncryptionKey,
            Box::new(move |row| row.fingerprints = told("encryptionKey", "x")),
        ),
        (Subject::StoredForms, Box::new(move |row| row.fingerprints = told("storedForms", "x"))),
        (Subject::Clock, Box::new(|row| row.clock_ms = -2_001)),
        (Subject::Version, Box::new(|row| row.version = "0.6.0".to_owned())),
        (Subject::Settings, Box::new(|row| row.digest = json!({"settingsRefused": "why"}))),
    ];
    assert!(cases.iter().map(|(subject, _)| *subject).eq(Subject::ALL));
    for (subject, change) in cases {
        let odd = with(2, &*change);
        assert_eq!(disagreeing(&[row(1), odd.clone(), row(3)]), [vec![], vec![subject], vec![]]);
        // The newcomer of two is the one that is asked.
        assert_eq!(disagreeing(&[row(1), odd.clone()]), [vec![], vec![subject]]);
        // Who is gone has no say.
        let gone = with(1, |row| row.silent_s = 60.0);
        let alone = disagreeing(&[gone, odd]);
        let stays = matches!(subject, Subject::Clock | Subject::Settings);
        assert_eq!(alone[1], if stays { vec![subject] } else { vec![] });
    }
}

#[test]
fn versions_may_be_one_minor_version_apart() {
    for (version, is_far) in [
        ("0.4.9", false),
        ("0.5.0", false),
        ("0.3.0-rc.1", false),
        ("0.6.0", true),
        ("1.4.0", true),
    ] {
        assert_eq!(are_far_apart("0.4.1", version), is_far, "{version}");
    }
}

#[test]
fn what_another_version_does_not_say_is_no_disagreement() {
    let silent = with(2, |row| {
        row.fingerprints = json!({"somethingNew": 1});
        row.digest = json!("of another shape");
    });
    assert_eq!(disagreeing(&[row(1), silent]), [vec![], vec![]]);
}
