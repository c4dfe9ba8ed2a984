//! Cookies by the rules that browsers follow (RFC 6265bis), as far as a sign-in meets them.

use url::Url;

/// Whether a request comes with the ones that are meant for one's own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Navigation {
    /// From a page of the same site, or typed by the user.
    SameSite,
    /// A link or redirect from elsewhere.
    CrossSiteGet,
    /// A form from elsewhere.
    CrossSitePost,
}

/// `SameSite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    Strict,
    Lax,
    None,
}

/// One that a server set.
#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) is_secure: bool,
    pub(crate) is_http_only: bool,
    pub(crate) same_site: SameSite,
    pub(crate) max_age: Option<i64>,
}

impl Cookie {
    /// Reads `Set-Cookie`; an error says why browsers refuse this one.
    fn parse(text: &str, url: &Url) -> Result<Self, String> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).ok_or("no pair")?;
        if name.len() + value.len() > 4_096 {
            return Err("too long".to_owned());
        }
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: url.path().rsplit_once('/').map_or("/", |(path, _)| path).to_owned(),
            is_secure: false,
            is_http_only: false,
            same_site: SameSite::Lax,
            max_age: None,
        };
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match name.to_ascii_lowercase().as_str() {
                "secure" => cookie.is_secure = true,
                "httponly" => cookie.is_http_only = true,
                "path" => value.clone_into(&mut cookie.path),
                "max-age" => {
                    cookie.max_age = Some(value.parse().map_err(|_| "Max-Age is no number")?);
                }
                "samesite" => {
                    cookie.same_site = match value.to_ascii_lowercase().as_str() {
                        "strict" => SameSite::Strict,
                        "lax" => SameSite::Lax,
                        "none" => SameSite::None,
                        other => return Err(format!("SameSite={other}")),
                    }
                }
                other => return Err(format!("{other}: nothing that a test expects")),
            }
        }
        let is_trustworthy = url.scheme() == "https" || url.host_str() == Some("localhost");
        if cookie.is_secure && !is_trustworthy {
            return Err("Secure from an insecure place".to_owned());
        }
        if cookie.same_site == SameSite::None && !cookie.is_secure {
            return Err("SameSite=None without Secure".to_owned());
        }
        if cookie.name.starts_with("__Secure-") && !cookie.is_secure {
            return Err("__Secure- without Secure".to_owned());
        }
        if cookie.name.starts_with("__Host-") && (!cookie.is_secure || cookie.path != "/") {
            return Err("__Host- without Secure or for a path".to_owned());
        }
        Ok(cookie)
    }

    fn is_for(&self, url: &Url, navigation: Navigation) -> bool {
        let path = url.path();
        let is_below = path.strip_prefix(&self.path).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        });
        let is_trustworthy = url.scheme() == "https" || url.host_str() == Some("localhost");
        let goes = match navigation {
            Navigation::SameSite => true,
            Navigation::CrossSiteGet => self.same_site != SameSite::Strict,
            Navigation::CrossSitePost => self.same_site == SameSite::None,
        };
        Some(self.host.as_str()) == url.host_str()
            && is_below
            && (!self.is_secure || is_trustworthy)
            && goes
    }
}

/// All of one browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    pub(crate) cookies: Vec<Cookie>,
    /// What servers tried to set, and why that did not work.
    pub(crate) refused: Vec<(String, String)>,
}

impl Jar {
    /// Takes `Set-Cookie` in.
    pub(super) fn set(&mut self, text: &str, url: &Url) {
        match Cookie::parse(text, url) {
            Err(why) => self.refused.push((text.to_owned(), why)),
            Ok(cookie) => {
                self.cookies.retain(|old| {
                    (&old.name, &old.host, &old.path) != (&cookie.name, &cookie.host, &cookie.path)
                });
                if cookie.max_age.is_none_or(|seconds| seconds > 0) {
                    self.cookies.push(cookie);
                }
            }
        }
    }

    /// The header `Cookie` of a request, if there is one.
    pub(super) fn header(&self, url: &Url, navigation: Navigation) -> Option<String> {
        let these = self.cookies.iter().filter(|cookie| cookie.is_for(url, navigation));
        let pairs: Vec<String> =
            these.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[test]
fn cookies_go_where_browsers_send_them() {
    let url = |text: &str| Url::parse(text).unwrap();
    let here = url("https://auth.test/v1/signin/provider/apple");
    let mut jar = Jar::default();
    jar.set("lax=1; HttpOnly; SameSite=Lax; Path=/v1/signin", &here);
    jar.set("none=2; HttpOnly; Secure; SameSite=None", &here);
    jar.set("strict=3; SameSite=Strict; Path=/", &here);
    jar.set("refused=4; SameSite=None", &here);
    jar.set("refused=5; Secure", &url("http://auth.test/"));
    jar.set("__Host-refused=6; Secure; Path=/v1", &here);
    assert_eq!(jar.refused.len(), 3, "{jar:?}");
    let callback = url("https://auth.test/v1/signin/provider/apple/callback");
    let header = |url: &Url, navigation| jar.header(url, navigation).unwrap_or_default();
    assert_eq!(header(&callback, Navigation::SameSite), "lax=1; none=2; strict=3");
    assert_eq!(header(&callback, Navigation::CrossSiteGet), "lax=1; none=2");
    assert_eq!(header(&callback, Navigation::CrossSitePost), "none=2");
    assert_eq!(
        header(&url("http://auth.test/v1/signin/x"), Navigation::SameSite),
        "lax=1; strict=3"
    );
    assert_eq!(header(&url("https://auth.test/v1/signin2"), Navigation::SameSite), "strict=3");
    assert_eq!(header(&url("https://elsewhere.test/v1/signin"), Navigation::SameSite), "");
    jar.set("lax=; Max-Age=0; Path=/v1/signin", &here);
    assert_eq!(jar.header(&callback, Navigation::CrossSiteGet).unwrap(), "none=2");
}
