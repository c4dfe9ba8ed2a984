//! The flags of the command line, made from the table.

use std::fmt::Write as _;

use clap::{Arg, ArgAction};

use crate::config::table::sections;
use crate::settings::{Kind, Setting, Support};

/// One argument for every setting that has a flag, under the heading of its section.
///
/// The texts are taken as they are and without defaults: `Sources` decides what wins and the reader
/// what is well formed, so that flags and environment are treated alike.
pub fn arguments() -> Vec<Arg> {
    let mut arguments = Vec::new();
    for section in sections() {
        for setting in section.settings() {
            arguments.extend(setting.flag.map(|flag| argument(flag, setting, section.heading)));
        }
    }
    arguments
}

fn argument(flag: &'static str, setting: &Setting, heading: &'static str) -> Arg {
    let argument = Arg::new(flag)
        .long(flag)
        .help_heading(heading)
        .help(help(setting))
        .action(ArgAction::Append)
        .value_name(value_name(setting.kind))
        // What does nothing yet is accepted, reported, and not advertised.
        .hide(setting.support != Support::Supported);
    match setting.kind {
        Kind::Bool => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => argument.num_args(1),
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "TEXT",
        Kind::Bool => "true|false",
        Kind::Int => "NUMBER",
        Kind::Duration => "DURATION",
        Kind::List => "LIST",
        Kind::Choice(_) => "NAME",
        Kind::Json => "JSON",
    }
}

fn help(setting: &Setting) -> String {
    let mut help = setting.help.to_owned();
    if let Kind::Choice(allowed) = setting.kind {
        let _ = write!(help, " [values: {}]", allowed.join(", "));
    }
    let variables: Vec<_> = setting.variables().collect();
    let file = if setting.secret { ", or from a file: the name with _FILE" } else { "" };
    let _ = write!(help, " [env: {}{file}]", variables.join(", then "));
    if !setting.default.is_empty() {
        let _ = write!(help, " [default: {}]", setting.default);
    }
    help
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::config::reading::Sources;
    use crate::config::rows::methods::MFA_ENABLED;
    use crate::config::rows::server::CONCEAL_ERRORS;

    fn command() -> Command {
        Command::new("serve").args(arguments())
    }

    fn sources(arguments: &[&str]) -> Sources {
        let line = std::iter::once("serve").chain(arguments.iter().copied());
        Sources::from_process(&command().try_get_matches_from(line).unwrap()).unwrap()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn boolean_flags_stand_alone_or_with_a_value() {
        for (arguments, value) in [
            (&["--conceal-errors"][..], "true"),
            (&["--conceal-errors=true"], "true"),
            (&["--conceal-errors=F"], "F"),
            (&["--conceal-errors=F", "--debug", "--conceal-errors"], "true"),
        ] {
            let sources = sources(arguments);
            let raw = sources.lookup(&CONCEAL_ERRORS).unwrap();
            assert_eq!(raw.values.last(), Some(&value), "{arguments:?}");
        }
    }

    #[test]
    fn help_is_grouped_and_names_variables_and_defaults() {
        let help = command().term_width(1_000).render_long_help().to_string();
        for text in [
            "Front end:",
            "E-mail:",
            "--port <TEXT>",
            "[env: AUTH_PORT] [default: 4000]",
            "[env: POSTGRES_CONNECTION, then HASURA_GRAPHQL_DATABASE_URL, or from a file: the name with _FILE]",
            "[values: LOGIN, PLAIN, CRAM-MD5]",
        ] {
            assert!(help.contains(text), "{text} is missing in\n{help}");
        }
        assert!(!help.contains("memcache"), "what does nothing yet is not advertised");
    }

    #[test]
    fn flags_of_features_to_come_are_accepted() {
        assert!(sources(&["--turnstile-secret", "x", "--mfa-enabled"]).is_set(&MFA_ENABLED));
    }

    #[test]
    fn a_command_may_offer_only_some_of_the_flags() {
        let some = arguments().into_iter().filter(|argument| argument.get_id() == "postgres");
        let matches = Command::new("migrate").args(some).get_matches_from(["migrate"]);
        assert!(Sources::from_process(&matches).is_ok());
    }
}
