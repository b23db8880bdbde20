//! A macro for enums with one text per variant.

/// Declares an enum with the list of its variants, `ALL`, and a method that returns the text of a variant.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $type:ident;

        $(#[$method_meta:meta])*
        pub fn $method:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        pub enum $type {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $type {
            /// All variants, in the order of their declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant,)+];

            $(#[$method_meta])*
            #[must_use]
            pub const fn $method(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}
pub(crate) use text_enum;
