//! Publishes the signing keys, with the configuration that they come from.
//!
//! - Owns: the moment at which a configuration comes into force with its keys and its mail server.
//! - Caches: the parsed keys, readable without a lock and without this actor.
//! - Writes through: nothing.
//! - On restart: what was in force stays in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin};
use super::runtime::supervisor::ChildSpec;
use crate::config::{Config, LiveConfig};
use crate::notify::sender::MailSender;
use crate::tokens::keys::KeySet;

/// The keys in force; reading costs no lock.
pub type Keys = Arc<ArcSwap<KeySet>>;

/// A configuration that was checked, and what was made of it meanwhile: this very thing comes into
/// force, not what is read a second time.
#[derive(Clone)]
pub struct Checked {
    pub config: Arc<Config>,
    pub keys: Arc<KeySet>,
    pub mail: Arc<MailSender>,
}

/// Messages of the key rotator.
pub enum KeyRotatorMsg {
    /// Puts all of this in force.
    PutInForce(Checked, RpcReplyPort<()>),
    /// Panic.
    Crash,
}

impl MessageOrigin for KeyRotatorMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::PutInForce(..) | Self::Crash)
    }
}

impl Crash for KeyRotatorMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for KeyRotatorMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<KeyRotatorMsg>, ChildSpec) {
    let slot = Arc::default();
    let args = KeyRotatorArgs {
        config: Arc::clone(&parts.config),
        keys: Arc::clone(&parts.keys),
        mail: Arc::clone(&parts.mail),
    };
    let child = ChildSpec::actor("key_rotator", &slot, || KeyRotator, move || args.clone());
    (Handle::configured("key rotator", slot, &parts.config.load()), child)
}

/// The actor.
pub struct KeyRotator;

/// What the key rotator works with, and all of its state.
#[derive(Clone)]
pub struct KeyRotatorArgs {
    pub config: LiveConfig,
    pub keys: Keys,
    pub mail: Arc<ArcSwap<MailSender>>,
}

impl Actor for KeyRotator {
    type Msg = KeyRotatorMsg;
    type State = KeyRotatorArgs;
    type Arguments = KeyRotatorArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        args: KeyRotatorArgs,
    ) -> Result<KeyRotatorArgs, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        message: KeyRotatorMsg,
        state: &mut KeyRotatorArgs,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeyRotatorMsg::PutInForce(checked, reply) => {
                // Nothing here can fail, so that it is all or nothing.
                state.keys.store(checked.keys);
                state.mail.store(checked.mail);
                state.config.store(checked.config);
                // The caller may have given up.
                let _ = reply.send(());
            }
            KeyRotatorMsg::Crash => panic!("the key rotator was told to crash"),
        }
        Ok(())
    }
}
