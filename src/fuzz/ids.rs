//! Ids and what is shaped like them, where others write them: refresh tokens, tickets, user handles,
//! ids in paths.

use uuid::Uuid;

use super::Target;
use crate::domain::ids::UserId;
use crate::passkeys::user_handle;
use crate::tokens::refresh_token::RefreshToken;
use crate::tokens::ticket::{Ticket, TicketKind};

pub(super) const TARGET: Target = Target {
    name: "ids",
    run,
    seeds: &[
        b"782fe3ee-b3e3-45fb-9f38-53287c4294ff",
        b"782FE3EE-B3E3-45FB-9F38-53287C4294FF",
        b"782fe3eeb3e345fb9f3853287c4294ff",
        b"{782fe3ee-b3e3-45fb-9f38-53287c4294ff}",
        b"urn:uuid:782fe3ee-b3e3-45fb-9f38-53287c4294ff",
        b"00000000-0000-0000-0000-000000000000",
        b"passwordReset:782fe3ee-b3e3-45fb-9f38-53287c4294ff",
        b"mfaTotp:782fe3ee-b3e3-45fb-9f38-53287c4294ff",
        b"123456",
        b"AAAAAAAAAAAAAAAA",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
};

fn run(input: &[u8]) {
    // Of any two forms, at most one stands for a user, and each for one user at most.
    let user = UserId(Uuid::from_u128(0x782f_e3ee_b3e3_45fb_9f38_5328_7c42_94ff));
    if user_handle::stands_for(input, user) {
        assert!(!user_handle::stands_for(input, UserId(Uuid::nil())));
    }
    let from_bytes = Uuid::try_parse_ascii(input);
    let Ok(text) = str::from_utf8(input) else { return };
    assert_eq!(from_bytes.is_ok(), Uuid::try_parse(text).is_ok());
    if let Ok(id) = Uuid::parse_str(text) {
        assert_eq!(Uuid::parse_str(&id.to_string()).as_ref(), Ok(&id));
        if input.len() == 36 {
            assert!(user_handle::stands_for(input, UserId(id)));
        }
    }
    if let Ok(token) = RefreshToken::parse(text) {
        assert_eq!(token.expose(), text);
        assert_eq!(Uuid::parse_str(text).map(|id| id.to_string()).as_deref(), Ok(text));
    }
    if let Ok(ticket) = Ticket::parse(text) {
        assert!(!ticket.kind().is_code());
        assert_eq!(ticket.expose(), text);
    }
    for kind in TicketKind::ALL {
        let code = Ticket::parse_code(kind, text);
        assert!(code.is_err() || text.len() == 6 && text.parse::<u32>().is_ok());
    }
}
