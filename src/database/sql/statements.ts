// Every kind of statement by the name of its parse node: what it is, where it may go, what it leaves behind. A kind that is
// not in the table is taken for DDL, which writes.

import { leftBehind } from './bodies.ts'
import { pinBit } from './contract.ts'
import { callsOnce, ExpressionWalk, noteRelation, noteTemporary } from './expressions.ts'
import { type Facts, keepOnPrimary, markWrite, newFacts, pin, unpin } from './facts.ts'
import { isAsynchronous, noteSet, noteUnknown, serverSettings, showCommand } from './settings.ts'
import { discards, noteTransaction } from './transactions.ts'
import {
  constant,
  field,
  isTree,
  list,
  number,
  opened,
  option,
  switchedOn,
  type Tree,
  text,
  truth,
} from './tree.ts'

type Handler = (body: Tree, facts: Facts) => void

/** CURSOR_OPT_HOLD (parsenodes.h). */
const cursorHold = 0x20

const rows =
  (kind: Facts['kind'], verb: string): Handler =>
  (body, facts) => {
    facts.kind = kind
    markWrite(facts, verb)
    new ExpressionWalk(facts, false).visit(body)
  }

const handlers: Readonly<Record<string, Handler>> = {
  SelectStmt: (body, facts) => {
    facts.kind = 'select'
    const walk = new ExpressionWalk(facts, callsOnce(body))
    walk.visit(body)
  },
  InsertStmt: rows('insert', 'inserts'),
  UpdateStmt: (body, facts) => {
    rows('update', 'updates')(body, facts)
    // A view with a rule that calls set_config().
    if (text(field(body, 'relation'), 'relname') === 'pg_settings') noteUnknown(facts, null)
  },
  DeleteStmt: rows('delete', 'deletes'),
  MergeStmt: rows('merge', 'merges'),
  CopyStmt: copy,
  ExplainStmt: explain,
  CallStmt: (body, facts) => {
    facts.kind = 'call'
    facts.ownTransaction = true
    markWrite(facts, 'calls a procedure')
    new ExpressionWalk(facts, false).visit({ FuncCall: field(body, 'funccall') })
  },
  DoStmt: doBlock,
  TransactionStmt: noteTransaction,
  VariableSetStmt: (body, facts) => {
    facts.kind = 'session'
    noteSet(facts, body)
  },
  VariableShowStmt: (body, facts) => {
    facts.kind = 'session'
    const name = text(body, 'name').toLowerCase()
    facts.command = showCommand(name)
    if (serverSettings.has(name)) keepOnPrimary(facts, `asks for ${name}, which servers have of their own`)
  },
  DiscardStmt: discards,
  PrepareStmt: (body, facts) => {
    facts.kind = 'session'
    facts.runs = false
    facts.prepared = { kind: 'prepare', name: text(body, 'name') }
    pin(facts, 'prepared-sql')
    keepOnPrimary(facts, 'prepares a statement in SQL')
  },
  ExecuteStmt: (body, facts) => {
    facts.kind = 'other'
    facts.prepared = { kind: 'execute', name: text(body, 'name') }
    new ExpressionWalk(facts, false).visit(list(body, 'params'))
    markWrite(facts, 'executes what was prepared in SQL')
  },
  DeallocateStmt: (body, facts) => {
    facts.kind = 'session'
    const all = truth(body, 'isall')
    facts.prepared = { kind: 'deallocate', name: all ? null : text(body, 'name') }
    if (all) unpin(facts, 'prepared-sql')
    keepOnPrimary(facts, 'gives up a prepared statement')
  },
  DeclareCursorStmt: (body, facts) => {
    inner(field(body, 'query'), facts)
    facts.kind = 'other'
    if ((number(body, 'options') & cursorHold) === 0) return
    pin(facts, 'cursor-with-hold')
    keepOnPrimary(facts, 'declares a cursor that outlives its transaction')
  },
  FetchStmt: other,
  ClosePortalStmt: (body, facts) => {
    facts.kind = 'other'
    if (text(body, 'portalname') === '') unpin(facts, 'cursor-with-hold')
  },
  ListenStmt: (_body, facts) => {
    facts.kind = 'session'
    pin(facts, 'listen')
    keepOnPrimary(facts, 'listens')
  },
  UnlistenStmt: (body, facts) => {
    facts.kind = 'session'
    if (text(body, 'conditionname') === '') unpin(facts, 'listen')
    keepOnPrimary(facts, 'ends listening')
  },
  NotifyStmt: (_body, facts) => {
    facts.kind = 'other'
    markWrite(facts, 'notifies')
  },
  LoadStmt: (_body, facts) => {
    facts.kind = 'session'
    pin(facts, 'load')
    keepOnPrimary(facts, 'loads a library into the session')
  },
  LockStmt: (_body, facts) => {
    facts.kind = 'other'
    keepOnPrimary(facts, 'locks a table')
  },
  ConstraintsSetStmt: (_body, facts) => {
    facts.kind = 'other'
    keepOnPrimary(facts, 'sets when constraints are checked')
  },
  CheckPointStmt: (_body, facts) => {
    facts.kind = 'other'
    markWrite(facts, 'makes a checkpoint')
  },
  CreateTableAsStmt: (body, facts) => {
    facts.kind = 'ddl'
    markWrite(facts, 'makes a table from a query')
    noteTemporary(facts, field(body, 'into') ?? {})
    const [type, query] = opened(field(body, 'query'))
    if (type !== 'ExecuteStmt') new ExpressionWalk(facts, false).visit(query)
  },
  VacuumStmt: (body, facts) => {
    ownTransaction('vacuums or analyses')(body, facts)
    facts.ownTransaction = truth(body, 'is_vacuumcmd')
  },
  CreatedbStmt: ownTransaction('makes a database'),
  DropdbStmt: ownTransaction('drops a database'),
  CreateTableSpaceStmt: ownTransaction('makes a tablespace'),
  DropTableSpaceStmt: ownTransaction('drops a tablespace'),
  AlterSystemStmt: ownTransaction('changes a setting of the server'),
  ClusterStmt: ownTransaction('sorts a table'),
  RepackStmt: ownTransaction('packs a table'),
  ReindexStmt: (body, facts) => {
    ownTransaction('makes an index anew')(body, facts)
    const one = /INDEX$|TABLE$/.test(text(body, 'kind'))
    facts.ownTransaction = !one || switchedOn(option(body, 'params', 'concurrently'))
  },
  CreateSubscriptionStmt: ownTransaction('makes a subscription'),
  AlterSubscriptionStmt: ownTransaction('changes a subscription'),
  DropSubscriptionStmt: ownTransaction('drops a subscription'),
  AlterDatabaseStmt: ownTransaction('changes a database'),
}

function other(_body: Tree, facts: Facts): void {
  facts.kind = 'other'
}

function ownTransaction(why: string): Handler {
  return (body, facts) => {
    ddl(body, facts)
    facts.why = why
    facts.ownTransaction = true
  }
}

/** `{ type: body }` of a statement. */
export function factsOf(statement: Tree | undefined): Facts {
  const [type, body] = opened(statement)
  const facts = newFacts('ddl')
  const handler = Object.hasOwn(handlers, type) ? handlers[type] : undefined
  if (handler !== undefined) handler(body, facts)
  else ddl(body, facts)
  return facts
}

function inner(statement: Tree | undefined, facts: Facts): void {
  const [type, body] = opened(statement)
  const handler = Object.hasOwn(handlers, type) ? handlers[type] : undefined
  if (handler !== undefined) handler(body, facts)
  else ddl(body, facts)
}

function ddl(body: Tree, facts: Facts): void {
  facts.kind = 'ddl'
  markWrite(facts, 'changes what the database is made of')
  noteTemporary(facts, body)
  if (find(body, node => truth(node, 'concurrent'))) facts.ownTransaction = true
  facts.asynchronousCommit = find(body, node => {
    const set = field(node, 'setstmt') ?? field(node, 'VariableSetStmt')
    const values = list(set, 'args')
    if (set === undefined || text(set, 'kind') === 'VAR_RESET_ALL') return false
    const said = text(set, 'kind') === 'VAR_SET_VALUE' ? constant(values[0]) : undefined
    return isAsynchronous(text(set, 'name').toLowerCase(), typeof said === 'string' ? said : null)
  })
}

function find(value: unknown, wanted: (node: Tree) => boolean): boolean {
  if (Array.isArray(value)) return value.some(item => find(item, wanted))
  if (!isTree(value)) return false
  return wanted(value) || Object.values(value).some(item => find(item, wanted))
}

function copy(body: Tree, facts: Facts): void {
  facts.kind = 'copy'
  const elsewhere = text(body, 'filename') !== ''
  if (truth(body, 'is_from')) {
    markWrite(facts, 'copies rows in')
    if (!elsewhere) facts.copy = 'in'
    new ExpressionWalk(facts, false).visit(body.whereClause)
    return
  }
  if (elsewhere) markWrite(facts, "writes a file, or to a program, on the server's host")
  else facts.copy = 'out'
  const relation = field(body, 'relation')
  if (relation !== undefined) noteRelation(facts, relation)
  if (field(body, 'query') === undefined) return
  inner(field(body, 'query'), facts)
  facts.kind = 'copy'
}

function explain(body: Tree, facts: Facts): void {
  const runs = switchedOn(option(body, 'options', 'analyze'))
  const [type] = opened(field(body, 'query'))
  inner(field(body, 'query'), facts)
  facts.kind = 'explain'
  facts.prepared = null
  if (runs) return
  // Planning takes the locks of a write, and looks at no more.
  facts.runs = false
  facts.pins = 0
  facts.settings.length = 0
  facts.advisoryLocks = 0
  if (type === 'ExecuteStmt') keepOnPrimary(facts, 'explains what was prepared in SQL')
  facts.writes = false
}

function doBlock(body: Tree, facts: Facts): void {
  facts.kind = 'call'
  facts.ownTransaction = true
  markWrite(facts, 'runs a DO block')
  const source = option(body, 'args', 'as') ?? ''
  if (/\b(create|alter|drop)\b/i.test(source)) facts.kind = 'ddl'
  facts.pins |= leftBehind(source)
  if ((facts.pins & pinBit('setting')) !== 0) noteUnknown(facts, null)
  if (/synchronous_commit/i.test(source)) facts.asynchronousCommit = true
}
