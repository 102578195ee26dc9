/** Who a connection is: an account by its password, or a node by its certificate. */
export type Principal =
  | { readonly kind: 'account'; readonly account: string }
  | { readonly kind: 'node'; readonly node: string; readonly mayLead: boolean };

/** One name for both: no account can be called like a node. */
export function principalName(principal: Principal): string {
  return principal.kind === 'account' ? principal.account : `node:${principal.node}`;
}
