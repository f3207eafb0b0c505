// From facts to what the router needs: the names in a statement are judged by what is known of the database. Before
// anything is known, by what every PostgreSQL has.

import { builtinFunctions, builtinOperators, builtinTypes, serverViews } from './builtins.generated.ts'
import type { Catalogue, StatementInfo } from './contract.ts'
import type { Facts } from './facts.ts'
import { harmlessFunctions, primaryOnly, writingFunctions } from './function-effects.ts'

/** Why a name keeps a statement on the primary, and whether it may write there. */
export interface NameVerdict {
  readonly why: string
  readonly writes: boolean
}

const system = 'pg_catalog.'
const systemRelation = /^(pg_|information_schema\.)/
/** Of extensions, too. */
const statistics = /(^|\.)pg_stat(io)?_/
const bareName = (name: string): string => (name.startsWith(system) ? name.slice(system.length) : name)

export function namesVerdict(
  functions: Iterable<string>,
  relations: Iterable<string>,
  catalogue: Catalogue | null,
  strict: boolean,
): NameVerdict | null {
  let found: NameVerdict | null = null
  for (const name of functions) found = worse(found, functionVerdict(name, catalogue))
  for (const name of relations) found = worse(found, relationVerdict(name, catalogue, strict))
  return found
}

function worse(one: NameVerdict | null, two: NameVerdict | null): NameVerdict | null {
  return one === null || (two?.writes === true && !one.writes) ? two : one
}

function functionVerdict(name: string, catalogue: Catalogue | null): NameVerdict | null {
  const hidden = /^(operator|type)\((.*)\)$/.exec(name)
  if (hidden !== null) return hiddenVerdict(name, hidden[1] as string, hidden[2] as string, catalogue)
  const bare = bareName(name)
  if (primaryOnly(bare)) return { why: `calls ${bare}()`, writes: false }
  if (writingFunctions.has(bare)) return { why: `calls ${bare}()`, writes: true }
  const calm =
    catalogue === null ? builtinFunctions.has(bare) || harmlessFunctions.has(bare) : catalogue.calm.has(name)
  return calm ? null : { why: `calls ${name}()`, writes: true }
}

function hiddenVerdict(
  name: string,
  kind: string,
  inside: string,
  catalogue: Catalogue | null,
): NameVerdict | null {
  // A type of PostgreSQL's own comes before any of the same name.
  if (kind === 'type' && builtinTypes.has(inside)) return null
  const calm = catalogue === null ? builtinOperators.has(inside) : catalogue.calm.has(name)
  if (calm) return null
  return { why: kind === 'type' ? `casts to ${inside}` : `uses the operator ${inside}`, writes: true }
}

function relationVerdict(name: string, catalogue: Catalogue | null, strict: boolean): NameVerdict | null {
  const qualified = name.includes('.') ? name : `${system}${name}`
  if (serverViews.has(qualified) || statistics.test(name))
    return { why: `reads ${name}, which each server has of its own`, writes: false }
  if (catalogue === null && strict && !systemRelation.test(name))
    return { why: 'the catalogue is not known yet', writes: true }
  if (catalogue?.unsafeRelations.has(name) !== true) return null
  return {
    why: `reads ${name}, which is not the same on a replica, or may call something volatile`,
    writes: true,
  }
}

export function judged(
  facts: Facts,
  hint: StatementInfo['hint'],
  cacheMs: number | null,
  normalised: string,
  catalogue: Catalogue | null,
  strict: boolean,
): StatementInfo {
  const names = namesVerdict(facts.functions, facts.relations, catalogue, strict)
  // The author vouches for what is called, not for what the statement itself does.
  const vouched = hint === 'replica' && !facts.writes
  const pins = facts.pins | leftByFunctions(facts, catalogue)
  // Who keeps a server connection will write on it, too.
  const readOnly = facts.place === 'any' && pins === 0 && (names === null || vouched)
  return {
    kind: facts.kind,
    count: facts.count,
    readOnly,
    mayWrite: facts.writes || (facts.runs && names?.writes === true && !vouched),
    transaction: facts.transaction,
    pins,
    unpins: facts.unpins,
    advisoryLocks: facts.advisoryLocks,
    settings: facts.settings,
    prepared: facts.prepared,
    copy: facts.copy,
    ownTransaction: facts.ownTransaction,
    asynchronousCommit: facts.asynchronousCommit,
    hint,
    cacheMs,
    command: facts.command,
    functions: [...facts.functions],
    relations: [...facts.relations],
    normalised,
    why: facts.why || names?.why || 'reads only',
  }
}

/** Functions of the database's own whose bodies leave something in the session. */
function leftByFunctions(facts: Facts, catalogue: Catalogue | null): number {
  const pinning = catalogue?.pinning
  let pins = 0
  if (pinning === undefined || pinning.size === 0 || !facts.runs) return pins
  for (const name of facts.functions) pins |= pinning.get(name) ?? 0
  return pins
}
