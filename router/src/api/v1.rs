//! `/api/v1`: send, look, and mend.

mod contact;
mod conversations;
mod dead_letters;
mod dead_letters_view;
mod ledger;
mod message_view;
mod messages;
mod objects;
mod paging;
mod send;

pub use self::{
    conversations::ConversationsApi, dead_letters::DeadLettersApi, ledger::LedgerApi, messages::MessagesApi,
    objects::ObjectsApi,
};
