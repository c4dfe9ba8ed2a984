//! Text in HTML.

/// Replaces the five characters that mean something in HTML text and quoted attributes.
///
/// Slashes stay, so that links survive mail clients and link rewriters that decode little.
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A minijinja formatter that escapes with [`escape_html`] in templates named `*.html`.
pub fn formatter(
    out: &mut minijinja::Output<'_>,
    state: &mut minijinja::State<'_, '_>,
    value: &minijinja::Value,
) -> Result<(), minijinja::Error> {
    let plain = matches!(state.auto_escape(), minijinja::AutoEscape::None) || value.is_safe();
    if plain { write!(out, "{value}") } else { write!(out, "{}", escape_html(&value.to_string())) }
        .map_err(minijinja::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text_and_links_stay_readable() {
        assert_eq!(
            escape_html("<a href=\"x\" title='y'>&</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;&lt;/a&gt;"
        );
        assert_eq!(escape_html("https://a/b?c=d&e=f"), "https://a/b?c=d&amp;e=f");
    }
}
