//! The web page that a request comes from, as far as its browser tells.

use url::Url;

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// No page: an address that was typed or opened by an app, as a browser says.
    None,
    /// Another program, or a browser that tells nothing, which pages of others can make it do.
    Unknown,
    /// A page of the server's own origin.
    Own,
    /// A page of this origin, as the header `Origin` spells it (RFC 6454, 6.2).
    Of(String),
    /// A page that does not say whose it is.
    Hidden,
}

impl RequestOrigin {
    /// Whether no page of somebody else asked for it: none at all, one of the server's own, or one of
    /// the origin of one of these addresses.
    pub fn is_none_but<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> bool {
        match self {
            Self::None | Self::Own => true,
            Self::Unknown | Self::Hidden => false,
            Self::Of(origin) => urls.into_iter().any(|url| {
                Url::parse(url).is_ok_and(|url| {
                    let own = url.origin();
                    // `null` is what pages of nobody say, too.
                    own.is_tuple() && own.ascii_serialization() == *origin
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::request_origin::*;

    #[test]
    fn origins_are_compared_as_wholes() {
        let urls =
            ["https://app.example.com/settings?x=1", "myapp://callback", "http://[::1]:3000"];
        let is_ours = |origin: &str| RequestOrigin::Of(origin.to_owned()).is_none_but(urls);
        assert!(is_ours("https://app.example.com"));
        assert!(is_ours("http://[::1]:3000"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:444",
            "https://example.com",
            "https://app.example.com.evil.test",
            "myapp://callback",
            "null",
            "",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn a_page_that_hides_is_nobodys() {
        assert!(!RequestOrigin::Hidden.is_none_but(["https://app.example.com"]));
        assert!(!RequestOrigin::Unknown.is_none_but(["https://app.example.com"]));
        assert!(RequestOrigin::None.is_none_but([]) && RequestOrigin::Own.is_none_but([]));
    }
}
