//! Nodes of the version before, and the reference, work on a database that this version has migrated:
//! so migrations only add.

use std::path::Path;

/// What does more than add, and why nodes of the version before do not mind.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "20261127110000_notices.sql",
    "alter table auth.keywright_tickets drop constraint keywright_tickets_user_id_purpose_key",
    "the constraint is replaced by a wider one under the same name",
)];

/// The statements of a file, each on one line, without comments and without the bodies of functions.
fn statements(sql: &str) -> Vec<String> {
    let mut without_bodies = String::new();
    for (at, part) in sql.split("$$").enumerate() {
        without_bodies.push_str(if at % 2 == 0 { part } else { " body " });
    }
    let lines = without_bodies.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join(" ");
    // A semicolon in a text is none.
    let mut statements = vec![String::new()];
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            statements.last_mut().unwrap().push_str(" text ");
            continue;
        }
        for (index, piece) in part.split(';').enumerate() {
            if index > 0 {
                statements.push(String::new());
            }
            statements.last_mut().unwrap().push_str(piece);
        }
    }
    let words = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    statements.iter().map(words).filter(|text| !text.is_empty()).collect()
}

/// The clauses of `alter table`, split at commas outside parentheses.
fn clauses(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut clauses) = (0, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                clauses.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    clauses.push(text[start..].trim());
    clauses
}

/// Why a statement is more than an addition.
fn objection(statement: &str, file: &[String]) -> Option<String> {
    let is_new = |table: &str| {
        let is_it = |other: &String| {
            other.split_once("table ").is_some_and(|(create, rest)| {
                create.starts_with("create") && rest.starts_with(&format!("{table} "))
            })
        };
        file.iter().any(is_it)
    };
    for allowed in [
        "create table auth.keywright_",
        "create unlogged table auth.keywright_",
        "create index keywright_",
        "create function auth.keywright_",
        "create or replace function auth.keywright_",
        "create trigger keywright_",
        "comment on table auth.keywright_",
        "comment on column auth.",
    ] {
        if statement.starts_with(allowed) {
            return None;
        }
    }
    if let Some(index) = statement.strip_prefix("create unique index keywright_") {
        let table = index.split_once(" on ").and_then(|(_, rest)| rest.split(' ').next());
        let is_of_new_table = table.is_some_and(is_new);
        return (!is_of_new_table).then(|| "others may insert what it refuses".to_owned());
    }
    let Some(altered) = statement.strip_prefix("alter table auth.") else {
        return Some("no addition".to_owned());
    };
    let (table, rest) = altered.split_once(' ')?;
    let is_ours = table.starts_with("keywright_");
    for clause in clauses(rest) {
        let Some(column) = clause.strip_prefix("add column ") else {
            return Some(format!("{clause}: no addition"));
        };
        if !is_ours && !column.starts_with("keywright_") {
            return Some(format!("{column}: the reference may get a column of that name"));
        }
        if column.contains("not null") && (!is_ours || !column.contains("default")) {
            return Some(format!("{column}: others insert rows without it"));
        }
        if column.contains(" unique") || column.contains(" check") {
            return Some(format!("{column}: others may insert what it refuses"));
        }
    }
    None
}

#[test]
fn migrations_only_add() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut count = 0;
    let mut exceptions = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = statements(&std::fs::read_to_string(&path).unwrap());
        for statement in &file {
            count += 1;
            let is_known = EXCEPTIONS
                .iter()
                .any(|(of, beginning, _)| *of == name && statement.starts_with(beginning));
            exceptions += usize::from(is_known);
            let objection = objection(statement, &file).filter(|_| !is_known);
            assert_eq!(objection, None, "{name}: {statement}");
        }
    }
    assert!(count > 40, "{count}");
    assert_eq!(exceptions, EXCEPTIONS.len(), "an exception is there no more");
}

#[test]
fn what_does_more_than_add_is_noticed() {
    for sql in [
        "drop table auth.keywright_tickets",
        "alter table auth.users add column nickname text",
        "alter table auth.users add column keywright_x text not null default ''",
        "alter table auth.keywright_tickets add column x text not null",
        "alter table auth.keywright_tickets add column x text, drop column email",
        "alter table auth.keywright_tickets alter column email set not null",
        "alter table auth.keywright_tickets rename column email to address",
        "create unique index keywright_x on auth.users (email)",
        "create table auth.tickets (id uuid)",
        "create index users_idx on auth.users (id)",
        "update auth.users set disabled = false",
        "comment on table auth.keywright_x is 'a; b'; drop trigger x on auth.users",
    ] {
        let file = statements(sql);
        assert!(file.iter().any(|one| objection(one, &file).is_some()), "{sql}");
    }
    for sql in [
        "create table auth.keywright_x (id uuid); create unique index keywright_y on auth.keywright_x (id)",
        "alter table auth.keywright_tickets add column x numeric(3, 2) not null default 0, add column y text",
        "-- drop\ncreate function auth.keywright_x() returns trigger language plpgsql as $$ begin; drop; $$",
    ] {
        let file = statements(sql);
        let objections: Vec<_> = file.iter().filter_map(|one| objection(one, &file)).collect();
        assert_eq!(objections, [""; 0], "{sql}");
    }
}
