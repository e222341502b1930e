//! `Debug` of everything that holds what people wrote or who they are. It ends up in logs sooner or later, so it
//! shows of what kind a thing is and Meta's ids, never a number, a name or a text.

use std::fmt;

use crate::{
    error::GraphError,
    message::{Contact, Content, Context, InboundMessage, InteractiveReply, Media},
    outbound::{OutboundMessage, Recipient},
    status::Status,
    webhook::Item,
};

/// Shows the named fields only.
macro_rules! show {
    ($($name:ident { $($field:ident),* })+) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        })+
    };
}

show! {
    InboundMessage { id, message_type, timestamp }
    Context { id, forwarded, frequently_forwarded }
    Media { id, mime_type }
    Contact {}
    Status { id, status, timestamp, errors }
    // Meta's words may quote a number.
    GraphError { code, subcode, is_transient }
    Recipient {}
}

impl fmt::Debug for OutboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundMessage").field("message_type", &self.message_type()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("field", &self.field).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text",
            Self::Button { .. } => "Button",
            Self::Interactive(reply) => return f.debug_tuple("Interactive").field(reply).finish(),
            Self::Media => "Media",
            Self::Location { .. } => "Location",
            Self::Reaction { .. } => "Reaction",
            Self::System { .. } => "System",
            Self::Edit { .. } => "Edit",
            Self::Revoke { .. } => "Revoke",
            Self::Other => "Other",
        })
    }
}

impl fmt::Debug for InteractiveReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Button { .. } => "Button",
            Self::List { .. } => "List",
            Self::Form { .. } => "Form",
            Self::Other(_) => "Other",
        })
    }
}
