//! The shape of an object, written down once for both ways of reading.

/// An object's members: a struct whose fields are called as the members are, or as is said behind `=`. A member that is
/// not there is the default, one that is not asked for is passed over.
macro_rules! members {
    ($(#[$about:meta])* $seen_by:vis struct $name:ident<'a> { $(
        $(#[$field_about:meta])* $field_seen_by:vis $field:ident: $of:ty $(= $called:literal $(| $or:literal)*)?,
    )* }) => {
        $(#[$about])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        $seen_by struct $name<'a> { $(
            $(#[$field_about])*
            $(#[serde(rename = $called $(, alias = $or)*)])?
            $field_seen_by $field: $of,
        )* }

        impl<'a> $crate::json::Json<'a> for $name<'a> {
            fn scan_into(&mut self, scanner: &mut $crate::json::Scanner<'a>) -> Result<(), $crate::json::Unusual> {
                #[derive(Default)]
                struct Found { $($field: bool),* }
                let mut found = Found::default();
                scanner.object(|scanner, name| {
                    $(if $crate::json::is_called!(name, $field $($called $($or)*)?) {
                        if std::mem::replace(&mut found.$field, true) {
                            return Err($crate::json::Unusual);
                        }
                        return $crate::json::Json::scan_into(&mut self.$field, scanner);
                    })*
                    scanner.skip()
                })
            }
        }
    };
}
pub(crate) use members;

/// Whether `name` is that of a field.
macro_rules! is_called {
    ($name:ident, $field:ident) => { $name == stringify!($field).as_bytes() };
    ($name:ident, $field:ident $($called:literal)+) => { $($name == $called.as_bytes())||+ };
}
pub(crate) use is_called;
