// The driver of the socket seam that this runtime has: Node's, or Bun's where a data plane is run under Bun.

import type { Net } from './net.ts'

export const netHere: Net =
  process.versions.bun === undefined
    ? (await import('./net-node.ts')).nodeNet
    : (await import('./net-bun.ts')).bunNet
