//! Where an argument of a call stands, found in the syntax tree.

use rhai::{AST, ASTNode, Expr, Position, Stmt};

/// The position of argument `n` of the call at `call`; the receiver of a method is argument 0.
///
/// None for a call that has no node of its own, such as `Fn("up").call(…)`.
#[must_use]
pub fn argument(tree: &AST, call: Position, n: usize) -> Option<Position> {
    let mut found = None;
    tree.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(x, at)) | ASTNode::Stmt(Stmt::FnCall(x, at))) if *at == call => {
                found = x.args.get(n).map(Expr::start_position);
            }
            Some(ASTNode::Expr(Expr::MethodCall(x, at))) if *at == call => {
                found = match n.checked_sub(1) {
                    Some(n) => x.args.get(n).map(Expr::start_position),
                    None => receiver(path),
                };
            }
            _ => {}
        }
        found.is_none()
    });
    found
}

/// Where the chain `a.b[c].d()` around a method call begins.
fn receiver(path: &[ASTNode<'_>]) -> Option<Position> {
    let chain = path.iter().rev().skip(1).map_while(|node| match node {
        ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))) => Some(chain.start_position()),
        _ => None,
    });
    chain.last()
}

#[cfg(test)]
mod tests {
    use rhai::Engine;

    use super::*;

    #[track_caller]
    fn at(text: &str, call: &str, n: usize, wanted: Option<&str>) {
        let tree = Engine::new().compile(text).unwrap();
        let column = |needle: &str| u16::try_from(text.find(needle).unwrap() + 1).unwrap();
        let found = argument(&tree, Position::new(1, column(call)), n).map(|at| at.position().unwrap());
        assert_eq!(found, wanted.map(|wanted| usize::from(column(wanted))), "{text}");
    }

    #[test]
    fn arguments_are_found_in_calls_methods_and_closures() {
        at("f(a, 7)", "f(", 1, Some("7"));
        at("let x = f(a, g(1));", "f(", 1, Some("g("));
        at("l.up(\"x\")", "up", 1, Some("\"x\""));
        at("l.up(\"x\")", "up", 0, Some("l."));
        at("v.a.b().up(\"x\")", "up", 0, Some("v."));
        at("m[0].up(\"x\")", "up", 0, Some("m["));
        at("|| { q.f(|x| up(x, 5)) }", "up", 1, Some("5"));
        at("fn g() { up(h, 5) }", "up", 1, Some("5"));
        at("f(1)", "f(", 1, None);
        at("f(1)", "1", 0, None);
    }
}
