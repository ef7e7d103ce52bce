//! The expressions that act on the content of registers: NAT, queues, sets filled from packets, named objects; and
//! the comment of a rule.

use super::decode::{Decoder, slot};
use super::parts::Part;
use super::statements::{address_port, nat_flags, object, stateful};
use super::values::{Kind, comments, duration};
use crate::net::firewall::wire::Attrs;

impl Decoder<'_> {
    pub(super) fn dynset(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let name = attrs.text(1)?;
        let (words, _) = self.gather(slot(attrs.u32(4)?), self.set(&name).map_or(4, |set| set.key_length))?;
        let verb = match attrs.u32(3)? {
            0 => "add",
            1 => "update",
            _ => "delete",
        };
        let timeout = attrs
            .u64(6)
            .filter(|time| *time > 0)
            .map(|time| format!(" timeout {}", duration(time)))
            .unwrap_or_default();
        let one = attrs.get(7).map(Attrs).into_iter();
        let states = one.chain(attrs.nest(10).list()).map(|attrs| {
            let name = attrs.text(1).unwrap_or_default();
            stateful(&name, attrs.nest(2)).map_or_else(|| format!(" <{name}>"), |part| format!(" {}", part.text))
        });
        let states: String = states.collect();
        let data = match attrs.u32(5) {
            Some(from) => format!(
                " : {}",
                self.operand(slot(from)).map_or_else(|| "<data>".to_owned(), |data| data.show(Kind::Hex, false))
            ),
            None => String::new(),
        };
        self.push(Part::new(format!("{verb} @{name} {{ {words}{timeout}{states}{data} }}")))
    }

    pub(super) fn objref(&mut self, attrs: Attrs<'_>) -> Option<()> {
        if let Some(name) = attrs.text(2) {
            return self.push(object(attrs.u32(1)?, &format!("\"{name}\"")));
        }
        let set = self.set(&attrs.text(4)?)?;
        let (words, parts) = self.gather(slot(attrs.u32(3)?), set.key_length)?;
        self.push(object(set.object_type, &format!("{words} map {}", set.show(&parts))))
    }

    /// `snat`, `dnat`, `masquerade` and `redirect`, with their target from registers.
    pub(super) fn nat(&mut self, name: &str, attrs: Attrs<'_>) -> Option<()> {
        let (verb, numbers) = match (name, attrs.u32(1)) {
            ("nat", Some(0)) => ("snat", [3, 4, 5, 6, 7]),
            ("nat", _) => ("dnat", [3, 4, 5, 6, 7]),
            ("masq", _) => ("masquerade", [0, 0, 2, 3, 1]),
            _ => ("redirect", [0, 0, 1, 2, 3]),
        };
        let [address_low, address_high, port_low, port_high, flags] = numbers;
        let address = self.span(attrs.u32(address_low), attrs.u32(address_high), Kind::Address);
        let port = self.span(attrs.u32(port_low), attrs.u32(port_high), Kind::Number);
        let to = address_port(&address, &port);
        // In a table of both IP versions nft writes the version of the address (NFTA_NAT_FAMILY).
        let version = match attrs.u32(2) {
            Some(2) => "ip ",
            Some(10) => "ip6 ",
            _ => "",
        };
        let plain = libc::c_int::from(self.family) != libc::NFPROTO_INET || name != "nat" || address.is_empty();
        let version = if plain { "" } else { version };
        let to = if to.is_empty() { String::new() } else { format!("to {to}") };
        let flags = nat_flags(attrs.u32(flags).unwrap_or_default());
        let rest = [to, flags].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let text = format!("{verb} {version}{rest}");
        self.push(Part::new(text.trim_end()).target(&verb.to_uppercase(), rest))
    }

    fn span(&self, low: Option<u32>, high: Option<u32>, kind: Kind) -> String {
        let show =
            |from: Option<u32>| from.and_then(|from| self.operand(slot(from))).map(|operand| operand.show(kind, false));
        match (show(low), show(high)) {
            (Some(low), Some(high)) if low != high => format!("{low}-{high}"),
            (Some(low), _) => low,
            _ => String::new(),
        }
    }

    pub(super) fn queue(&mut self, attrs: Attrs<'_>) -> Option<()> {
        let short = |kind| attrs.get(kind).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_be_bytes(*bytes));
        let (first, count, flags) = (short(1)?, short(2).unwrap_or(1), short(3).unwrap_or_default());
        let last = if count > 1 { format!("-{}", u32::from(first) + u32::from(count) - 1) } else { String::new() };
        let flags = match flags & 3 {
            1 => "flags bypass ",
            2 => "flags fanout ",
            3 => "flags bypass,fanout ",
            _ => "",
        };
        let rest = format!("{flags}to {first}{last}");
        self.push(Part::new(format!("queue {rest}")).target("QUEUE", rest))
    }

    /// The comment of a rule: nft keeps it in the user data as type, length, text (`NFTNL_UDATA_RULE_COMMENT` is 0).
    pub(super) fn comment(&mut self, data: &[u8]) {
        for comment in comments(data) {
            self.parts.push(Part::new(format!("comment \"{comment}\"")).classic(format!("/* {comment} */")));
        }
    }
}
