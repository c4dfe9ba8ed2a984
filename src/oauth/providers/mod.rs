//! Every provider, one file each. To add one: its file, and its name in the list below.

/// Declares the modules and the list of their providers.
macro_rules! providers {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        pub mod custom;

        /// All providers with a name of their own, sorted by it.
        pub const ALL: &[&super::provider::Provider] = &[$(&$name::PROVIDER),*];
    };
}

providers! {
    apple, azuread, bitbucket, discord, entraid, facebook, github, gitlab, google, linkedin, spotify,
    strava, twitch, twitter, windowslive, workos,
}

/// Finds a provider by its id.
pub fn find(id: &str) -> Option<&'static super::provider::Provider> {
    ALL.iter().copied().find(|provider| provider.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_found_by_id_and_sorted() {
        assert_eq!(ALL.len(), 16);
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(find("github").map(|provider| provider.title), Some("GitHub"));
        assert!(find("GitHub").is_none() && find("custom").is_none());
    }
}
