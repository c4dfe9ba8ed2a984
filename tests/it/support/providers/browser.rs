//! A little browser: keeps cookies, follows redirects, and sends forms that send themselves.

use std::collections::BTreeMap;

use reqwest::Method;
use url::Url;

pub(crate) use super::cookies::{Jar, SameSite};

use super::CLIENT_URL;
use super::cookies::Navigation;
use crate::support::app::{Client, TestResponse};

/// How far it follows before it calls that a loop.
const MOST_STEPS: usize = 10;

/// Where it goes next.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) url: Url,
    /// Fields of a form, which is posted; else this is a GET.
    pub(crate) form: Option<Vec<(String, String)>>,
    /// The page that leads there; none if the user typed it.
    from: Option<Url>,
    /// That page does not want to be named (`Referrer-Policy: no-referrer`).
    is_hidden: bool,
}

impl Step {
    /// The user follows a link of the application.
    pub(crate) fn link(url: &str) -> Self {
        Self { from: Some(CLIENT_URL.parse().unwrap()), ..Self::typed(url) }
    }

    /// The user types an address.
    pub(crate) fn typed(url: &str) -> Self {
        Self { url: url.parse().unwrap(), form: None, from: None, is_hidden: false }
    }

    /// Another page leads to the same place by a form with these fields.
    pub(crate) fn form(url: &str, fields: &[(&str, &str)], from: &str) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { form: Some(fields.collect()), ..Self::typed(url).on(from) }
    }

    /// The same on another page.
    pub(crate) fn on(&self, page: &str) -> Self {
        Self { from: Some(page.parse().unwrap()), ..self.clone() }
    }

    /// The same on a page that does not want to be named.
    pub(crate) fn hidden(&self) -> Self {
        Self { is_hidden: true, ..self.clone() }
    }

    /// A parameter of the query, or a field of the form.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        if let Some(fields) = &self.form {
            return fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        }
        let mut pairs = self.url.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The same with another value; without the parameter if that is none.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut step = self.clone();
        let keep = |key: &str| key != name;
        let added = value.map(|value| (name.to_owned(), value.to_owned()));
        if let Some(fields) = &mut step.form {
            fields.retain(|(key, _)| keep(key));
            fields.extend(added);
        } else {
            let pairs = self.url.query_pairs().into_owned().filter(|(key, _)| keep(key));
            let pairs: Vec<(String, String)> = pairs.chain(added).collect();
            step.url.query_pairs_mut().clear().extend_pairs(pairs);
        }
        step
    }

    /// The same at another path.
    pub(crate) fn at(&self, path: &str) -> Self {
        let mut step = self.clone();
        step.url.set_path(path);
        step
    }
}

/// Something that was asked for, and the response.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) url: Url,
    pub(crate) response: TestResponse,
}

/// Where a journey ended: on a page of the application, which nobody serves, or on a response that
/// leads nowhere.
#[derive(Debug)]
pub(crate) struct FinalPage {
    pub(crate) url: Url,
    /// Everything on the way.
    pub(crate) visits: Vec<Visit>,
    /// It ended at a response, the last of the visits.
    pub(crate) is_page: bool,
}

impl FinalPage {
    /// The parameters of the address.
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        self.url.query_pairs().into_owned().collect()
    }

    /// The address without query and fragment.
    #[track_caller]
    pub(crate) fn target(&self) -> String {
        assert!(!self.is_page, "stranded on the way: {:?}", self.visits.last());
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string().trim_end_matches('/').to_owned()
    }

    /// The refresh token that the application gets.
    #[track_caller]
    pub(crate) fn refresh_token(&self) -> String {
        self.target();
        let query = self.query();
        assert!(!query.contains_key("error"), "{}", self.url);
        query.get("refreshToken").cloned().unwrap_or_else(|| panic!("none in {}", self.url))
    }

    /// The code of a refusal, which comes with a text and without a session.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        self.target();
        let query = self.query();
        for name in ["refreshToken", "code"] {
            assert!(!query.contains_key(name), "{name} beside an error: {}", self.url);
        }
        let error = query.get("error").unwrap_or_else(|| panic!("none in {}", self.url));
        let text = query.get("errorDescription").map_or("", String::as_str);
        assert!(!text.is_empty(), "no errorDescription: {}", self.url);
        error.clone()
    }

    /// Neither a session nor a refusal.
    #[track_caller]
    pub(crate) fn assert_silent(&self) {
        self.target();
        for name in ["refreshToken", "code", "error", "errorDescription"] {
            assert!(!self.query().contains_key(name), "{name}: {}", self.url);
        }
    }

    /// The only response, where no browser would go on.
    #[track_caller]
    pub(crate) fn page(&self) -> &TestResponse {
        assert!(self.is_page, "it led to {}", self.url);
        &self.visits.last().expect("a page was visited").response
    }

    /// The response that led to the application.
    pub(crate) fn last(&self) -> &TestResponse {
        &self.visits.last().expect("something was visited").response
    }
}

/// One person's browser.
#[derive(Clone)]
pub(crate) struct Browser {
    /// Public names of servers, and where they really are.
    hosts: Vec<(String, String)>,
    pub(crate) jar: Jar,
}

impl Browser {
    /// That reaches a server by its public name, and providers by their own.
    pub(crate) fn new(server_url: &str, server: &str) -> Self {
        let origin = Url::parse(server_url).unwrap().origin().ascii_serialization();
        Self { hosts: vec![(origin, server.to_owned())], jar: Jar::default() }
    }

    /// From now on the public name leads to another node.
    pub(crate) fn lead_to(&mut self, server: &str) {
        server.clone_into(&mut self.hosts[0].1);
    }

    /// Where a URL really leads; none for pages that nobody serves.
    fn reach(&self, url: &Url) -> Option<(String, Option<String>)> {
        if url.host_str() == Some("127.0.0.1") {
            return Some((url.origin().ascii_serialization(), None));
        }
        let origin = url.origin().ascii_serialization();
        let (_, base) = self.hosts.iter().find(|(name, _)| *name == origin)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Some((base.clone(), Some(host)))
    }

    /// Keeps what a response to one of the application's own scripts sets.
    pub(crate) fn take_cookies(&mut self, response: &TestResponse) {
        let url = Url::parse(&format!("{}/link/", self.hosts[0].0)).unwrap();
        for value in response.headers.get_all("set-cookie") {
            self.jar.set(value.to_str().unwrap(), &url);
        }
    }

    /// One request, and what its response leads to; none if the place is not served.
    pub(crate) async fn visit(&mut self, step: &Step) -> Option<(Visit, Option<Step>)> {
        let (base, host) = self.reach(&step.url)?;
        let cookie = self.jar.header(&step.url, navigation(step));
        let method = if step.form.is_some() { Method::POST } else { Method::GET };
        let target = &step.url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Client::new(base).request(method, target);
        if let Some(fields) = &step.form {
            let body =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            request =
                request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let (referer, site) = (referer(step), Some(fetch_site(step).to_owned()));
        let headers = [
            ("host", &host),
            ("cookie", &cookie),
            ("referer", &referer),
            ("sec-fetch-site", &site),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = Client::send(request).await;
        for value in response.headers.get_all("set-cookie") {
            self.jar.set(value.to_str().unwrap(), &step.url);
        }
        let next = next(step, &response);
        Some((Visit { url: step.url.clone(), response }, next))
    }

    /// Goes on until there is nothing more to follow.
    pub(crate) async fn follow(&mut self, first: &Step) -> FinalPage {
        let (final_page, _) = self.follow_until(first, |_| false).await;
        final_page
    }

    /// Goes on until the next step is the one that is meant, which is not taken.
    pub(crate) async fn follow_until(
        &mut self,
        first: &Step,
        is_meant: impl Fn(&Step) -> bool,
    ) -> (FinalPage, Option<Step>) {
        let mut visits = Vec::new();
        let mut step = first.clone();
        for _ in 0..MOST_STEPS {
            if is_meant(&step) {
                return (FinalPage { url: step.url.clone(), visits, is_page: false }, Some(step));
            }
            let Some((visit, next)) = self.visit(&step).await else {
                return (FinalPage { url: step.url, visits, is_page: false }, None);
            };
            visits.push(visit);
            let Some(next) = next else {
                return (FinalPage { url: step.url, visits, is_page: true }, None);
            };
            step = next;
        }
        panic!("more than {MOST_STEPS} steps: {visits:?}")
    }
}

/// Sites are hosts here, with their scheme; redirects keep where the journey began.
fn navigation(step: &Step) -> Navigation {
    let site = |url: &Url| (url.scheme().to_owned(), url.host_str().map(ToOwned::to_owned));
    match &step.from {
        Some(from) if site(from) != site(&step.url) => {
            if step.form.is_some() {
                Navigation::CrossSitePost
            } else {
                Navigation::CrossSiteGet
            }
        }
        _ => Navigation::SameSite,
    }
}

/// What other sites get to see of the page, by default.
fn referer(step: &Step) -> Option<String> {
    let from = step.from.as_ref().filter(|_| !step.is_hidden)?;
    Some(from.origin().ascii_serialization() + "/")
}

/// `Sec-Fetch-Site`.
fn fetch_site(step: &Step) -> &'static str {
    match &step.from {
        None => "none",
        Some(from) if from.origin() == step.url.origin() => "same-origin",
        Some(_) if navigation(step) == Navigation::SameSite => "same-site",
        Some(_) => "cross-site",
    }
}

/// A redirect, or a form that sends itself.
fn next(step: &Step, response: &TestResponse) -> Option<Step> {
    if response.status.is_redirection() {
        let location = response.header("location")?;
        let mut url = step.url.join(location).unwrap_or_else(|_| panic!("to {location}"));
        if url.fragment().is_none() {
            url.set_fragment(step.url.fragment());
        }
        return Some(Step { url, form: None, ..step.clone() });
    }
    let is_html = response.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    if !is_html || !response.text.contains(".submit()") {
        return None;
    }
    let form = response.text.split_once("<form")?.1;
    let (form, fields) = form.split_once('>')?;
    let action = step.url.join(&attribute(form, "action")?).unwrap();
    let inputs = fields.split("<input").skip(1).map(|input| {
        let (input, _) = input.split_once('>').expect("a whole element");
        let value = attribute(input, "value").unwrap_or_default();
        (attribute(input, "name").expect("a name"), value)
    });
    let from = Some(step.url.clone());
    Some(Step { url: action, form: Some(inputs.collect()), from, is_hidden: false })
}

/// The value of an attribute, quoted as our pages quote it.
fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let value = value.replace("&quot;", "\"").replace("&#34;", "\"").replace("&#x27;", "'");
    Some(
        value
            .replace("&#x2f;", "/")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
