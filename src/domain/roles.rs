//! Which roles new users may ask for (`AUTH_USER_DEFAULT_ROLE`, `AUTH_USER_DEFAULT_ALLOWED_ROLES`).

use super::error::ErrorCode;

/// The configured roles; the default is always one of them.
#[derive(Clone, Debug)]
pub struct RoleRules {
    default: String,
    allowed: Vec<String>,
}

/// The roles that a new user gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenRoles {
    /// One of `allowed`.
    pub default: String,
    /// Without duplicates, in the order asked for.
    pub allowed: Vec<String>,
}

impl RoleRules {
    /// Appends the default to the list if it is missing there; duplicates go.
    pub fn new(default: String, mut allowed: Vec<String>) -> Self {
        if !allowed.contains(&default) {
            allowed.push(default.clone());
        }
        Self { default, allowed: distinct(&allowed) }
    }

    /// `AUTH_USER_DEFAULT_ROLE`.
    pub fn default_role(&self) -> &str {
        &self.default
    }

    /// All roles that users may have, in configured order.
    pub fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// Checks what a sign-up asks for; what is absent is taken from the configuration.
    pub fn choose(
        &self,
        default: Option<&str>,
        allowed: Option<&[String]>,
    ) -> Result<ChosenRoles, ErrorCode> {
        let default = default.unwrap_or(&self.default);
        let allowed = match allowed {
            None => self.allowed.clone(),
            Some(wanted) if wanted.iter().all(|role| self.allowed.contains(role)) => {
                distinct(wanted)
            }
            Some(_) => return Err(ErrorCode::RoleNotAllowed),
        };
        if !allowed.iter().any(|role| role == default) {
            return Err(ErrorCode::DefaultRoleMustBeInAllowedRoles);
        }
        Ok(ChosenRoles { default: default.to_owned(), allowed })
    }
}

fn distinct(roles: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(roles.len());
    for role in roles {
        if !kept.contains(role) {
            kept.push(role.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|&entry| entry.to_owned()).collect()
    }

    fn rules() -> RoleRules {
        RoleRules::new("user".to_owned(), list(&["me", "editor"]))
    }

    #[test]
    fn without_a_request_the_configured_roles_are_given() {
        let chosen = rules().choose(None, None).unwrap();
        assert_eq!(chosen.default, "user");
        assert_eq!(chosen.allowed, ["me", "editor", "user"]);
    }

    #[test]
    fn requested_roles_of_the_configured_list_are_granted_without_duplicates() {
        let wanted = list(&["editor", "me", "editor"]);
        let chosen = rules().choose(Some("me"), Some(&wanted)).unwrap();
        assert_eq!(chosen.default, "me");
        assert_eq!(chosen.allowed, ["editor", "me"]);
    }

    #[test]
    fn a_role_that_is_not_configured_is_refused() {
        let wanted = list(&["me", "admin"]);
        assert_eq!(rules().choose(Some("me"), Some(&wanted)), Err(ErrorCode::RoleNotAllowed));
    }

    #[test]
    fn the_default_role_must_be_among_the_allowed_ones() {
        let wanted = list(&["me"]);
        let refused = Err(ErrorCode::DefaultRoleMustBeInAllowedRoles);
        assert_eq!(rules().choose(None, Some(&wanted)), refused);
        assert_eq!(rules().choose(Some("admin"), None), refused);
        assert_eq!(rules().choose(None, Some(&[])), refused);
    }
}
