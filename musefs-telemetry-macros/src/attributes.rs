//! Labels: enums of values, and structs of such enums.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr};

use crate::snake_case;

pub(crate) fn expand_enum(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(body) = &item.data else {
        return Err(Error::new_spanned(&item.ident, "a label is an enum"));
    };
    let name = option(&item.attrs, "name")?.unwrap_or_else(|| snake_case(&item.ident.to_string()));
    let mut values = Vec::new();
    for variant in &body.variants {
        if !matches!(variant.fields, Fields::Unit) || variant.discriminant.is_some() {
            let message = "a label value has neither fields nor a number of its own";
            return Err(Error::new_spanned(variant, message));
        }
        let value = option(&variant.attrs, "value")?;
        values.push(value.unwrap_or_else(|| snake_case(&variant.ident.to_string())));
    }
    let variants = body.variants.iter().map(|variant| &variant.ident);
    let ident = &item.ident;
    let count = values.len();
    Ok(quote! {
        #[automatically_derived]
        impl #ident {
            /// All values, by position.
            pub const ALL: [Self; #count] = [#(Self::#variants),*];
            /// How many values there are.
            pub const COUNT: usize = #count;

            /// The label value.
            pub const fn name(self) -> &'static str {
                <Self as ::musefs_telemetry::AttributeEnum>::VALUES[self as usize]
            }
        }

        #[automatically_derived]
        impl ::musefs_telemetry::AttributeEnum for #ident {
            const NAME: &'static str = #name;
            const VALUES: &'static [&'static str] = &[#(#values),*];

            #[inline]
            fn position(self) -> usize {
                self as usize
            }
        }

        #[automatically_derived]
        impl ::musefs_telemetry::SeriesKey for #ident {
            #[inline]
            fn series(self) -> usize {
                self as usize
            }
        }

        #[automatically_derived]
        impl ::musefs_telemetry::AttributeSet for #ident {
            const DESCRIPTOR: &'static ::musefs_telemetry::describe::AttributesDescriptor =
                &::musefs_telemetry::describe::AttributesDescriptor {
                    name: stringify!(#ident),
                    labels: &[::musefs_telemetry::Label {
                        name: <Self as ::musefs_telemetry::AttributeEnum>::NAME,
                        values: <Self as ::musefs_telemetry::AttributeEnum>::VALUES,
                    }],
                };
        }

        const _: () = ::musefs_telemetry::describe::assert_attributes(
            <#ident as ::musefs_telemetry::AttributeSet>::DESCRIPTOR,
        );
    })
}

pub(crate) fn expand_set(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(syn::DataStruct {
        fields: Fields::Named(fields),
        ..
    }) = &item.data
    else {
        let message = "a label set is a struct with named fields";
        return Err(Error::new_spanned(&item.ident, message));
    };
    let ident = &item.ident;
    let names: Vec<_> = fields
        .named
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .collect();
    let labels = names.iter().map(ToString::to_string);
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    Ok(quote! {
        #item

        #[automatically_derived]
        impl ::musefs_telemetry::SeriesKey for #ident {
            #[inline]
            fn series(self) -> usize {
                let mut index = 0;
                #(
                    index = index * <#types as ::musefs_telemetry::AttributeEnum>::VALUES.len()
                        + ::musefs_telemetry::AttributeEnum::position(self.#names);
                )*
                index
            }
        }

        #[automatically_derived]
        impl ::musefs_telemetry::AttributeSet for #ident {
            const DESCRIPTOR: &'static ::musefs_telemetry::describe::AttributesDescriptor =
                &::musefs_telemetry::describe::AttributesDescriptor {
                    name: stringify!(#ident),
                    labels: &[#(::musefs_telemetry::Label {
                        name: #labels,
                        values: <#types as ::musefs_telemetry::AttributeEnum>::VALUES,
                    }),*],
                };
        }

        const _: () = ::musefs_telemetry::describe::assert_attributes(
            <#ident as ::musefs_telemetry::AttributeSet>::DESCRIPTOR,
        );
    })
}

/// The text that `#[attribute(key = "…")]` gives.
fn option(attributes: &[syn::Attribute], key: &str) -> syn::Result<Option<String>> {
    let mut found = None;
    for attribute in attributes {
        if attribute.path().is_ident("attribute") {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident(key) {
                    return Err(meta.error(format!("only `{key}` is known here")));
                }
                found = Some(meta.value()?.parse::<LitStr>()?.value());
                Ok(())
            })?;
        }
    }
    Ok(found)
}
