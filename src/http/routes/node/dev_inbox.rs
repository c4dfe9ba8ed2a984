//! `/dev/inbox`, `/dev/inbox/{id}` and `/dev/inbox.json`: captured mail, rendered.
//!
//! Links in the pages are relative, so the three paths may sit under any prefix.

use std::sync::{Arc, LazyLock};

use http::{HeaderValue, header};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use uuid::Uuid;

use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::MessageId;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::notify::html;
use crate::notify::inbox::Captured;

/// `Content-Security-Policy` for both pages; the framed mail inherits it and is sandboxed besides.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; img-src data: https:; connect-src 'self'; frame-src 'self'; \
    frame-ancestors 'self'; form-action 'none'; base-uri 'none'";

/// The list as a page.
pub async fn get(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    Ok(html_response(page(&captured(&app).await?)))
}

/// The list for scripts.
pub async fn get_json(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::raw_json(json(&captured(&app).await?)))
}

/// One message as a page.
pub async fn get_message(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let id = request.param("id").and_then(|id| Uuid::parse_str(id).ok());
    let id = MessageId(id.ok_or(ErrorCode::NotFound)?);
    let messages = captured(&app).await?;
    let message = messages.iter().find(|message| message.id == id).ok_or(ErrorCode::NotFound)?;
    Ok(html_response(message_page(message)))
}

async fn captured(app: &App) -> Result<Vec<Captured>, AuthError> {
    let mail = app.mail.load_full();
    let inbox = mail.inbox().ok_or(ErrorCode::NotFound)?;
    inbox.list().await.map_err(|error| AuthError::internal("inbox not read", error))
}

fn html_response(page: String) -> ApiResponse {
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    ApiResponse::html(page).with_header(header::CONTENT_SECURITY_POLICY, policy)
}

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.set_auto_escape_callback(|_name| AutoEscape::Html);
    pages.set_formatter(html::formatter);
    for (name, source) in [
        ("inbox.html", include_str!("../../../../templates/dev/inbox.html")),
        ("message.html", include_str!("../../../../templates/dev/message.html")),
    ] {
        pages.add_template(name, source).expect("the shipped pages are tested");
    }
    pages
});

/// The list, newest first, with the newest message shown beside it; refreshes itself.
pub fn page(messages: &[Captured]) -> String {
    render("inbox.html", context! { messages => Value::from(Serde(messages)) })
}

/// One message: headers, HTML in a sandbox whose links open in the top window, plain text.
pub fn message_page(message: &Captured) -> String {
    let body = format!("<base target=\"_top\">{}", message.html);
    render("message.html", context! { message => Value::from(Serde(message)), body })
}

/// All messages as a JSON array, newest first.
pub fn json(messages: &[Captured]) -> Vec<u8> {
    serde_json::to_vec(messages).expect("captured mail is made of strings")
}

fn render(name: &str, context: Value) -> String {
    PAGES
        .get_template(name)
        .and_then(|page| page.render(context))
        .expect("the shipped pages are tested with every field")
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use crate::domain::ids::MessageId;
    use crate::http::routes::node::dev_inbox::*;

    fn message() -> Captured {
        Captured {
            id: MessageId::random(),
            time: OffsetDateTime::UNIX_EPOCH,
            from: "Keywright <keywright@localhost>".to_owned(),
            to: "<img src=x>@localhost".to_owned(),
            subject: "</strong><script>alert(1)</script>".to_owned(),
            headers: vec![
                ("X-Ticket".to_owned(), "verifyEmail:1".to_owned()),
                ("X-Link".to_owned(), "http://localhost/verify?a=1&b=2".to_owned()),
            ],
            html: "<!doctype html><p title=\"x\">Hello</p>".to_owned(),
            text: Some("Hello <there>".to_owned()),
        }
    }

    #[test]
    fn the_list_links_to_each_message_and_escapes_what_mails_say() {
        let message = message();
        let page = page(std::slice::from_ref(&message));
        assert!(page.contains(&format!("href=\"inbox/{}\"", message.id)));
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert(1)"));
        assert!(!page.contains("<img"));
    }

    #[test]
    fn an_empty_inbox_is_a_page_too() {
        assert!(page(&[]).contains("No mail yet"));
    }

    #[test]
    fn a_message_is_shown_in_a_sandbox_with_its_headers_and_link() {
        let page = message_page(&message());
        assert!(page.contains("sandbox=\"allow-top-navigation-by-user-activation\""));
        assert!(page.contains(
            "srcdoc=\"&lt;base target=&quot;_top&quot;&gt;&lt;!doctype html&gt;&lt;p title=&quot;x&quot;&gt;Hello&lt;/p&gt;\""
        ));
        assert!(page.contains("<a href=\"http://localhost/verify?a=1&amp;b=2\" target=\"_top\">"));
        assert!(page.contains("verifyEmail:1"));
        assert!(page.contains("Hello &lt;there&gt;"));
    }

    #[test]
    fn scripts_find_the_link_in_the_json() {
        let json: serde_json::Value = serde_json::from_slice(&json(&[message()])).unwrap();
        assert_eq!(json[0]["headers"][1][1], "http://localhost/verify?a=1&b=2");
        assert_eq!(json[0]["time"], "1970-01-01T00:00:00Z");
    }
}
