// The front as a server: what a client says is dealt with here message by message, one after the other, each to its end. For
// whatever is not one batch for one shard. Errors: one ErrorResponse, then everything up to Sync is passed over.

import {
  BindView,
  bindComplete,
  closeComplete,
  commandComplete,
  ExecuteView,
  emptyQueryResponse,
  frontend,
  noData,
  ParseView,
  type Problem,
  parameterDescription,
  parseComplete,
  portalSuspended,
  readBind,
  readExecute,
  readParameters,
  readParse,
  readQuery,
  readTarget,
  readyForQuery,
  rowDescription,
  statementTarget,
  TargetView,
} from '../../wire/postgres/index.ts'
import { protocolError } from '../router/sql-errors.ts'
import { ClientAnswer, withFormats } from './answers.ts'
import { type KnownStatement, noRequest, type Portal, type ShardClient } from './client.ts'
import { ClientGone } from './client-output.ts'
import { execute, inFailedTransaction } from './execute.ts'
import { refused } from './execution.ts'
import { failureOf, StatementFailed } from './statement-failed.ts'
import { isTenfoldSetting, tenfoldSetting } from './tenfold-settings.ts'
import type { TextStatement } from './texts.ts'

const preparedFactor = 20
const portalsMax = 10_000
const statusCodes = { I: 0x49, T: 0x54, E: 0x45 } as const

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

export interface InterpreterOf {
  readonly client: ShardClient
  /** The connection ends with what was said last. */
  readonly end: () => void
  readonly tell: (fault: Error) => void
}

export class Interpreter {
  readonly #client: ShardClient
  readonly #end: () => void
  readonly #tell: (fault: Error) => void
  /** An error was answered: everything is passed over up to Sync. */
  skipping = false
  #frames: readonly Buffer[] = []
  #at = 0
  #over = false

  constructor({ client, end, tell }: InterpreterOf) {
    this.#client = client
    this.#end = end
    this.#tell = tell
  }

  /** Whole messages. Never rejects. */
  async run(frames: readonly Buffer[]): Promise<void> {
    const { output } = this.#client
    this.#frames = frames
    for (this.#at = 0; this.#at < frames.length && !this.#over; this.#at++) {
      const frame = frames[this.#at] as Buffer
      const simple = frame[0] === frontend.query
      if (this.skipping && frame[0] !== frontend.sync) continue
      try {
        await this.#message(frame)
        if (output.full) await output.drained()
      } catch (thrown) {
        await this.#failed(thrown, simple)
      }
      if (simple && !this.#over) await this.#ready()
    }
    output.flush()
  }

  /** The answer to a whole batch that could not be begun. Never rejects. */
  async refuse(thrown: unknown): Promise<void> {
    await this.#failed(thrown, true)
    if (!this.#over) await this.#ready()
  }

  async #failed(thrown: unknown, simple: boolean): Promise<void> {
    const { transaction, output } = this.#client
    if (thrown instanceof ClientGone) {
      this.#over = true
      return
    }
    const failure = failureOf(thrown, transaction.kind === 'block')
    if (failure === null) this.#tell(thrown as Error)
    output.addAll((failure ?? fault()).frame)
    if (failure === null || failure.fatal) {
      this.#over = true
      output.flush()
      this.#end()
      return
    }
    this.skipping = !simple
    if (transaction.kind === 'block') transaction.failed = true
    else if (transaction.kind === 'implicit') await this.#rollback()
  }

  async #rollback(): Promise<void> {
    await this.#client.transaction.rollback()
    this.#client.tablesChanged = false
    this.#client.transactionEnded()
  }

  async #message(frame: Buffer): Promise<void> {
    switch (frame[0]) {
      case frontend.query:
        return this.#query(frame)
      case frontend.parse:
        return this.#parse(frame)
      case frontend.bind:
        return this.#bind(frame)
      case frontend.describe:
        return this.#describe(frame)
      case frontend.execute:
        return this.#execute(frame)
      case frontend.close:
        return this.#close(frame)
      case frontend.sync:
        return this.#sync()
      case frontend.flush:
        this.#client.output.flush()
        return
      case frontend.functionCall:
        throw StatementFailed.of('0A000', 'Function calls of the protocol do not work over shards.')
      default:
    }
  }

  // --- the end of a batch -------------------------------------------------------------------------------------

  async #sync(): Promise<void> {
    this.skipping = false
    try {
      await this.#endImplicit()
    } catch (thrown) {
      await this.#failed(thrown, true)
    }
    if (!this.#over) await this.#ready()
  }

  /** What was one by itself is committed. */
  async #endImplicit(): Promise<void> {
    const { transaction } = this.#client
    if (transaction.kind !== 'implicit') return
    try {
      await transaction.commit()
    } finally {
      this.#client.transactionEnded()
    }
  }

  async #ready(): Promise<void> {
    const { client } = { client: this.#client }
    const { transaction, output, portals } = client
    if (transaction.kind === 'none') {
      portals.clear()
      if (client.tablesChanged) {
        client.tablesChanged = false
        await client.routing.relearn()
      }
    }
    output.addAll(readyForQuery(statusCodes[transaction.status]))
    output.flush()
  }

  // --- simple -------------------------------------------------------------------------------------------------

  async #query(frame: Buffer): Promise<void> {
    check(readQuery(frame, 5, frame.length))
    const client = this.#client
    client.unnamed = null
    const text = frame.utf8Slice(5, frame.length - 1)
    const statements = client.look(text)
    const { transaction, output } = client
    if (statements.length === 0) output.addAll(emptyQueryResponse)
    for (const [index, statement] of statements.entries()) {
      if (statements.length > 1 && transaction.kind === 'none' && joins(statement))
        transaction.open('implicit', 'BEGIN')
      const answer = new ClientAnswer(output, 'if-any')
      const tag = await this.#one(statement, {
        request: { ...noRequest, sql: statements.length === 1 ? text : statement.text },
        simple: true,
        answer,
        types: async () => [],
      })
      if (index === statements.length - 1) await this.#endImplicit()
      output.addAll(tag === '' ? emptyQueryResponse : commandComplete(tag))
    }
  }

  #one(
    statement: TextStatement,
    how: Omit<Parameters<typeof execute>[0], 'client' | 'statement'>,
  ): Promise<string> {
    return execute({ ...how, client: this.#client, statement })
  }

  // --- extended -----------------------------------------------------------------------------------------------

  async #parse(frame: Buffer): Promise<void> {
    check(readParse(frame, 5, frame.length, parseView))
    const client = this.#client
    const statement = statementOf(frame, parseView)
    const { name, text } = statement
    if (name !== '' && isKnown(client, name))
      throw StatementFailed.of('42P05', `prepared statement "${name}" already exists`)
    const { preparedMax } = client.routing.spec.pool
    if (client.statements.size >= preparedMax * preparedFactor)
      throw StatementFailed.of(
        '53400',
        `This client has ${client.statements.size} prepared statements already.`,
      )
    const planned = client.look(text)
    if (planned.length > 1)
      throw StatementFailed.of('42601', 'cannot insert multiple commands into a prepared statement')
    const [one] = planned
    if (one !== undefined) {
      if (client.transaction.failed && one.info.transaction === 'none') throw inFailedTransaction()
      if (one.plan.kind === 'refuse') throw refused(one.plan.refusal)
      // What is run at once is judged then; what is only prepared is judged now.
      if (isAsked(one) && !this.#isRunNext(name)) await client.describe(statement)
    }
    if (name === '') client.unnamed = statement
    else client.statements.set(name, statement)
    client.output.addAll(parseComplete)
  }

  /** A Bind of it follows. */
  #isRunNext(name: string): boolean {
    const next = this.#frames[this.#at + 1]
    if (next?.[0] !== frontend.bind || readBind(next, 5, next.length, bindView) !== null) return false
    return next.latin1Slice(bindView.statementFrom, bindView.statementTo) === name
  }

  #known(name: string): KnownStatement {
    const known = name === '' ? this.#client.unnamed : this.#client.statements.get(name)
    if (known) return known
    const what = name === '' ? 'unnamed prepared statement' : `prepared statement "${name}"`
    throw StatementFailed.of('26000', `${what} does not exist`)
  }

  async #bind(frame: Buffer): Promise<void> {
    check(readBind(frame, 5, frame.length, bindView))
    const { portalFrom, portalTo, statementFrom, statementTo, restFrom } = bindView
    const client = this.#client
    const name = frame.utf8Slice(portalFrom, portalTo)
    const statement = this.#known(frame.latin1Slice(statementFrom, statementTo))
    if (client.transaction.failed) {
      const [one] = client.look(statement.text)
      if (one !== undefined && one.info.transaction === 'none') throw inFailedTransaction()
    }
    if (client.portals.size >= portalsMax)
      throw StatementFailed.of('53400', `This transaction has ${portalsMax} portals already.`)
    if (name !== '' && client.portals.has(name))
      throw StatementFailed.of('42P03', `cursor "${name}" already exists`)
    const bound = readParameters(frame, restFrom, frame.length)
    if (bound.kind === 'problem') throw StatementFailed.of('08P01', bound.problem.sentence)
    client.portals.set(name, {
      statement,
      values: bound.values.map(value => value.bytes),
      formats: bound.values.map(value => value.format),
      resultFormats: resultFormatsOf(frame, restFrom),
      fieldsWanted: false,
      rows: null,
      tag: null,
    })
    client.output.addAll(bindComplete)
  }

  #portal(name: string): Portal {
    const portal = this.#client.portals.get(name)
    if (portal === undefined) throw StatementFailed.of('34000', `portal "${name}" does not exist`)
    return portal
  }

  async #describe(frame: Buffer): Promise<void> {
    check(readTarget(frame, 5, frame.length, targetView))
    const { target, nameFrom, nameTo } = targetView
    const { output } = this.#client
    if (target === statementTarget) {
      const statement = this.#known(frame.latin1Slice(nameFrom, nameTo))
      const { types, fields } = await this.#described(statement)
      output.addAll(parameterDescription(types))
      output.addAll(fields ?? noData)
      return
    }
    const name = frame.utf8Slice(nameFrom, nameTo)
    const portal = this.#portal(name)
    // Its columns come with its rows.
    if (this.#isExecutedNext(name) && portal.rows === null && portal.tag === null) {
      portal.fieldsWanted = true
      return
    }
    const { fields } = await this.#described(portal.statement)
    output.addAll(fields === null ? noData : withFormats(fields, portal.resultFormats))
  }

  async #described(
    statement: KnownStatement,
  ): Promise<{ readonly types: readonly number[]; readonly fields: Buffer | null }> {
    const [one] = this.#client.look(statement.text)
    if (one === undefined || !isAsked(one)) {
      const own = tenfoldSetting(statement.text)
      return { types: [], fields: own?.kind === 'show' ? rowDescription([{ name: own.name }]) : null }
    }
    return this.#client.describe(statement)
  }

  #isExecutedNext(name: string): boolean {
    const next = this.#frames[this.#at + 1]
    if (next?.[0] !== frontend.execute || readExecute(next, 5, next.length, executeView) !== null)
      return false
    return next.utf8Slice(executeView.portalFrom, executeView.portalTo) === name
  }

  async #execute(frame: Buffer): Promise<void> {
    check(readExecute(frame, 5, frame.length, executeView))
    const { rowsMax } = executeView
    const client = this.#client
    const name = frame.utf8Slice(executeView.portalFrom, executeView.portalTo)
    const portal = this.#portal(name)
    const [statement] = client.look(portal.statement.text)
    if (statement === undefined) {
      client.output.addAll(emptyQueryResponse)
      return
    }
    if (portal.tag === null) await this.#runPortal(portal, statement, rowsMax)
    else if (portal.rows === null) throw StatementFailed.of('55000', `portal "${name}" cannot be run`)
    await this.#givePortal(portal, rowsMax)
  }

  async #runPortal(portal: Portal, statement: TextStatement, rowsMax: number): Promise<void> {
    const client = this.#client
    const { transaction, output } = client
    if (transaction.kind === 'none' && joins(statement) && !this.#isAlone())
      transaction.open('implicit', 'BEGIN')
    const answer = new ClientAnswer(output, portal.fieldsWanted ? 'first' : 'none', rowsMax > 0)
    const tag = await this.#one(statement, {
      request: {
        sql: portal.statement.text,
        types: portal.statement.types,
        parameters: portal.values,
        parameterFormats: portal.formats,
        resultFormats: portal.resultFormats,
      },
      simple: false,
      answer,
      types: () => client.typesOf(portal.statement),
    })
    answer.end()
    portal.rows = answer.kept
    portal.tag = tag
    // The commit is part of it where nothing else is in its batch.
    if (this.#frames[this.#at + 1]?.[0] === frontend.sync) await this.#endImplicit()
  }

  async #givePortal(portal: Portal, rowsMax: number): Promise<void> {
    const { output } = this.#client
    const rows = portal.rows?.splice(0, rowsMax === 0 ? Infinity : rowsMax) ?? []
    for (const row of rows) if (!output.addAll(row)) await output.drained()
    if (portal.rows !== null && portal.rows.length > 0) {
      output.addAll(portalSuspended)
      return
    }
    const tag = portal.tag as string
    output.addAll(tag === '' ? emptyQueryResponse : commandComplete(tag))
  }

  /** Nothing else is executed up to the Sync. */
  #isAlone(): boolean {
    for (let at = this.#at + 1; at < this.#frames.length; at++) {
      const type = this.#frames[at]?.[0]
      if (type === frontend.execute) return false
      if (type === frontend.sync) return true
    }
    return false
  }

  async #close(frame: Buffer): Promise<void> {
    check(readTarget(frame, 5, frame.length, targetView))
    const { target, nameFrom, nameTo } = targetView
    const client = this.#client
    if (target !== statementTarget) client.portals.delete(frame.utf8Slice(nameFrom, nameTo))
    else if (nameTo === nameFrom) client.unnamed = null
    else client.forget(frame.latin1Slice(nameFrom, nameTo))
    client.output.addAll(closeComplete)
  }
}

/** Malformed: the connection ends. */
function check(problem: Problem | null): void {
  if (problem !== null) throw StatementFailed.by(protocolError(problem))
}

function fault(): StatementFailed {
  return StatementFailed.of('XX000', 'The router failed at this statement; its log says how.')
}

/** A server has something to say of it: its parameters and columns. */
function isAsked({ plan, info, text }: TextStatement): boolean {
  return plan.kind !== 'transaction' && info.transaction === 'none' && !isTenfoldSetting(text)
}

/** It is part of a transaction that is opened for it. */
function joins({ plan, info }: TextStatement): boolean {
  if (plan.kind === 'refuse' || plan.kind === 'transaction' || info.ownTransaction) return false
  return info.transaction === 'none' && !(plan.kind === 'ddl' && !plan.transactional)
}

/** Passed on before, it may have failed there: then the client does not have it. */
export function isKnown(client: ShardClient, name: string): boolean {
  const known = client.statements.get(name)
  if (known === undefined) return false
  if (known.by === null || known.by.session.statements?.has(name) === true) return true
  client.statements.delete(name)
  return false
}

/** What a Parse makes; `by`: the seat that it is passed on to. */
export function statementOf(
  bytes: Buffer,
  { nameFrom, nameTo, sqlFrom, sqlTo, typesFrom, typeCount }: ParseView,
  by: KnownStatement['by'] = null,
): KnownStatement {
  const types: number[] = []
  for (let index = 0; index < typeCount; index++) types.push(bytes.readUInt32BE(typesFrom + 4 * index))
  return {
    name: bytes.latin1Slice(nameFrom, nameTo),
    text: bytes.utf8Slice(sqlFrom, sqlTo),
    tail: Buffer.from(bytes.subarray(nameTo, typesFrom + 4 * typeCount)),
    types,
    by,
    described: null,
  }
}

function resultFormatsOf(frame: Buffer, restFrom: number): readonly number[] {
  let at = restFrom + 2 + 2 * frame.readUInt16BE(restFrom)
  const count = frame.readUInt16BE(at)
  at += 2
  for (let index = 0; index < count; index++) at += 4 + Math.max(0, frame.readInt32BE(at))
  if (at + 2 > frame.length) throw StatementFailed.of('08P01', 'A Bind ends before its result formats.')
  const formats = frame.readUInt16BE(at)
  if (at + 2 + 2 * formats !== frame.length)
    throw StatementFailed.of('08P01', 'A Bind does not end behind its result formats.')
  return Array.from({ length: formats }, (_, index) => frame.readUInt16BE(at + 2 + 2 * index))
}
