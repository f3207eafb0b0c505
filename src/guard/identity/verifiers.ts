// Verifiers that another part makes (logins): it enters them while it prepares, under `oidc:NAME`, and the step `identity`
// of the same worker asks them. One table for each worker.

import type { GuardSurroundings } from '../part.ts'
import type { IdentityVerifier } from './contract.ts'

const tables = new WeakMap<GuardSurroundings, Map<string, IdentityVerifier>>()

/** @param surroundings as the composition gave them to the part: they stand for the worker. */
export function verifiersOf(surroundings: GuardSurroundings): Map<string, IdentityVerifier> {
  let table = tables.get(surroundings)
  if (table === undefined) {
    table = new Map()
    tables.set(surroundings, table)
  }
  return table
}
