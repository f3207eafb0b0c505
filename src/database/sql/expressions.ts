// The walk over queries and expressions: which functions, operators, types and relations a statement names, what it locks,
// what it writes inside (WITH ... INSERT), and what its calls leave in the session. Visits every node of the tree.

import { pinBit } from './contract.ts'
import { type Facts, keepOnPrimary, markWrite, pin, unpin } from './facts.ts'
import { advisoryLockFunctions, locksUncountable, pinningFunctions } from './function-effects.ts'
import { noteSetConfig, serverSettings } from './settings.ts'
import { constant, dotted, field, isTree, list, type Tree, text, words } from './tree.ts'

const lockNames: Readonly<Record<string, string>> = {
  LCS_FORUPDATE: 'FOR UPDATE',
  LCS_FORNOKEYUPDATE: 'FOR NO KEY UPDATE',
  LCS_FORSHARE: 'FOR SHARE',
  LCS_FORKEYSHARE: 'FOR KEY SHARE',
}

const writingNodes: ReadonlyMap<string, string> = new Map([
  ['InsertStmt', 'inserts'],
  ['UpdateStmt', 'updates'],
  ['DeleteStmt', 'deletes'],
  ['MergeStmt', 'merges'],
])

/** Below these a call happens perhaps, or any number of times. */
const conditionalNodes: ReadonlySet<string> = new Set([
  'CaseExpr',
  'CoalesceExpr',
  'BoolExpr',
  'SubLink',
  'withClause',
  'MinMaxExpr',
  'A_Expr',
])

export class ExpressionWalk {
  readonly #facts: Facts
  /** Calls happen exactly once. */
  #certain: boolean

  constructor(facts: Facts, certain: boolean) {
    this.#facts = facts
    this.#certain = certain
  }

  /** Fields of a node, or a list of nodes. */
  visit(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) this.visit(item)
    else if (isTree(value)) for (const key in value) this.#enter(key, value[key])
  }

  #enter(key: string, value: unknown): void {
    if (key === 'A_Const' || typeof value !== 'object' || value === null) return
    const outside = this.#certain
    if (conditionalNodes.has(key)) this.#certain = false
    if (isTree(value)) this.#note(key, value)
    if (key === 'lockingClause') this.#noteLocks(list({ all: value }, 'all'))
    this.visit(value)
    this.#certain = outside
  }

  #note(key: string, node: Tree): void {
    switch (key) {
      case 'FuncCall':
        this.#noteCall(node)
        return
      case 'A_Expr':
        this.#noteOperator(words(node, 'name'))
        return
      case 'SubLink':
        this.#noteOperator(words(node, 'operName'))
        return
      case 'SortBy':
        this.#noteOperator(words(node, 'useOp'))
        return
      case 'RangeVar':
        noteRelation(this.#facts, node)
        return
      case 'typeName':
      case 'TypeName':
        this.#noteType(words(node, 'names'))
        return
      case 'intoClause':
        noteInto(this.#facts, node)
        return
      default: {
        const verb = writingNodes.get(key)
        if (verb !== undefined) markWrite(this.#facts, `${verb} inside a WITH clause`)
      }
    }
  }

  #noteOperator(name: readonly string[]): void {
    const [last = ''] = name.slice(-1)
    // BETWEEN and its kin are spelled in words, and are the built-in comparisons.
    if (last !== '' && !/^[A-Z]/.test(last)) this.#facts.functions.add(`operator(${last})`)
  }

  #noteType(name: readonly string[]): void {
    if (name.length > 0 && name[0] !== 'pg_catalog') this.#facts.functions.add(`type(${dotted(name)})`)
  }

  #noteLocks(clauses: readonly Tree[]): void {
    for (const clause of clauses) {
      const strength = text(field(clause, 'LockingClause'), 'strength')
      keepOnPrimary(this.#facts, `locks rows (${lockNames[strength] ?? strength})`)
    }
  }

  #noteCall(call: Tree): void {
    const name = words(call, 'funcname')
    const [bare = ''] = name.slice(-1)
    const facts = this.#facts
    facts.functions.add(dotted(name))
    const change = advisoryLockFunctions.get(bare)
    if (change !== undefined) this.#noteLockLevel(change)
    if (bare === 'pg_advisory_unlock_all') unpin(facts, 'advisory-lock')
    const reason = pinningFunctions.get(bare)
    if (reason !== undefined) pin(facts, reason)
    if (bare === 'set_config') noteSetConfig(facts, list(call, 'args'), this.#certain)
    if (bare === 'current_setting') this.#noteCurrentSetting(list(call, 'args'))
  }

  #noteLockLevel(change: 1 | -1): void {
    const facts = this.#facts
    // An unlocking that happens perhaps ends no pin.
    if (this.#certain) facts.advisoryLocks += change
    else if (change > 0) facts.advisoryLocks += locksUncountable
    if (change > 0) facts.pins |= pinBit('advisory-lock')
  }

  #noteCurrentSetting(values: readonly Tree[]): void {
    const name = constant(values[0])
    if (typeof name !== 'string') keepOnPrimary(this.#facts, 'asks for a setting that only its values name')
    else if (serverSettings.has(name.toLowerCase()))
      keepOnPrimary(this.#facts, `asks for ${name}, which servers have of their own`)
  }
}

/** `relation` is the content of a RangeVar. */
export function noteRelation(facts: Facts, relation: Tree): void {
  const schema = text(relation, 'schemaname')
  const name = text(relation, 'relname')
  if (schema.startsWith('pg_temp')) keepOnPrimary(facts, `reads the temporary table ${name}`)
  facts.relations.add(schema === '' ? name : `${schema}.${name}`)
}

function noteInto(facts: Facts, into: Tree): void {
  markWrite(facts, 'makes a table (SELECT INTO)')
  noteTemporary(facts, into)
}

/** A temporary table, view, sequence, type or function is made: it is in one server connection only. */
export function noteTemporary(facts: Facts, made: Tree): void {
  const dropped = text(made, 'onCommit') === 'ONCOMMIT_DROP' || text(made, 'oncommit') === 'ONCOMMIT_DROP'
  if (!dropped && mentionsTemporary(made)) pin(facts, 'temp-table')
}

function mentionsTemporary(value: unknown): boolean {
  if (value === 'pg_temp') return true
  if (Array.isArray(value)) return value.some(mentionsTemporary)
  if (!isTree(value)) return false
  if (value.relpersistence === 't') return true
  return Object.values(value).some(mentionsTemporary)
}

/** A SELECT whose calls happen once each: without tables, conditions and sets. */
export function callsOnce(select: Tree): boolean {
  const from = list(select, 'fromClause')
  const rowless = from.length === 0 || (from.length === 1 && field(from[0], 'RangeFunction') !== undefined)
  if (
    !rowless ||
    ['whereClause', 'havingClause', 'limitCount', 'limitOffset', 'larg'].some(key => key in select)
  )
    return false
  if (from.length === 0) return true
  return list(select, 'targetList').every(
    target => field(field(field(target, 'ResTarget'), 'val'), 'ColumnRef') !== undefined,
  )
}
