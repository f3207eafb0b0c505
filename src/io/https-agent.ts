// Connections of the few HTTPS requests that Tenfold makes itself, to services of others (an ACME authority). A connection
// a request: they are rare, and an idle one would keep a process from ending.

import { Agent } from 'node:https'

/** @param ca PEM of the one authority that is trusted; null: the ones that Node brings. */
export function httpsAgent(ca: string | null): Agent {
  return new Agent({ keepAlive: false, ...(ca === null ? {} : { ca }) })
}
