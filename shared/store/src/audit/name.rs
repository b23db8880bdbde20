//! The names of actions in the audit trail, and what the log says about each.

/// Declares the actions with their names and messages. Messages are constant, so that they hold no input.
macro_rules! actions {
    ($($variant:ident = $name:literal, $message:literal;)+) => {
        /// The name of an action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ActionName {
            $(#[doc = $message] $variant,)+
        }

        impl ActionName {
            /// Returns the stable name, which the audit trail stores.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns the message of the log.
            #[must_use]
            pub(super) const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                }
            }
        }
    };
}

actions! {
    AdminRead = "admin.read", "admin read data of other users";

    SessionBegin = "session.begin", "user signed in";
    SessionRefuse = "session.refuse", "sign-in refused";
    SessionEnd = "session.end", "user signed out of a session";
    SessionEndAll = "session.end_all", "user signed out of several sessions";
    SessionReuse = "session.reuse", "session ended: an old refresh token was used";

    UserChange = "user.change", "user changed";
    UserDelete = "user.delete", "user deleted";
    UserDisable = "user.disable", "user disabled";
    UserEnable = "user.enable", "user enabled";
    UserGrantAdmin = "user.grant_admin", "user became an admin";
    UserRevokeAdmin = "user.revoke_admin", "user is no longer an admin";

    ExchangeBindingCreate = "exchange_binding.create", "exchange binding created";
    ExchangeBindingUpdate = "exchange_binding.update", "exchange binding changed";
    ExchangeBindingDelete = "exchange_binding.delete", "exchange binding deleted";
    ExchangeBindingVerify = "exchange_binding.verify", "credentials of an exchange binding verified";
    ExchangeBindingReveal = "exchange_binding.reveal", "credentials of an exchange binding shown";

    TradingCreate = "trading.create", "trading created";
    TradingUpdate = "trading.update", "trading changed";
    TradingDelete = "trading.delete", "trading deleted";

    SubAccountCreate = "sub_account.create", "sub-account created";
    SubAccountUpdate = "sub_account.update", "sub-account changed";
    SubAccountDelete = "sub_account.delete", "sub-account deleted";
    SubAccountDeposit = "sub_account.deposit", "deposit booked";
    SubAccountWithdraw = "sub_account.withdraw", "withdrawal booked";
    HoldRelease = "hold.release", "hold released";

    TradingLogCreate = "trading_log.create", "trading log booked";
    TradingLogDelete = "trading_log.delete", "trading log deleted";

    DeadLetterReplay = "dead_letter.replay", "dead letter replayed";
    DeadLetterDiscard = "dead_letter.discard", "dead letter discarded";
    DeadLettersReplay = "dead_letters.replay", "replay of dead letters begins";
    DeadLettersDiscard = "dead_letters.discard", "dead letters discarded";

    EventsReplay = "events.replay", "replay of a time range requested";
    EventsCancelReplay = "events.cancel_replay", "replay of a time range cancelled";

    LaneReset = "lane.reset", "lane reset";
    LaneAcceptGap = "lane.accept_gap", "gap of a lane accepted";
}

impl ActionName {
    /// Returns whether the action means that access was refused.
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Self::SessionRefuse | Self::SessionReuse)
    }
}
