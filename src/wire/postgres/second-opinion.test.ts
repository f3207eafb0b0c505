// Our builders read by another codec (pg-protocol), and what that one writes read by ours.

import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse, serialize } from 'pg-protocol'
import {
  BindView,
  backendKeyData,
  bindComplete,
  bindMessage,
  cancelRequest,
  closeComplete,
  closeMessage,
  commandComplete,
  copyDoneMessage,
  copyFailMessage,
  dataRow,
  describeMessage,
  ExecuteView,
  emptyQueryResponse,
  errorResponse,
  executeMessage,
  flushMessage,
  frontendFrameBytes,
  noData,
  noticeResponse,
  notification,
  ParseView,
  parameterDescription,
  parameterStatus,
  parseComplete,
  parseMessage,
  passwordMessage,
  portalSuspended,
  portalTarget,
  queryMessage,
  readBind,
  readExecute,
  readParameters,
  readParse,
  readTarget,
  readyForQuery,
  rowDescription,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startupMessage,
  statementTarget,
  syncMessage,
  TargetView,
  terminateMessage,
  transactionStatus,
} from './index.ts'

type Message = Record<string, unknown> & { name: string; length: number }

/** What pg-protocol understands, in pieces of one byte. */
async function understood(...frames: readonly Buffer[]): Promise<Message[]> {
  const stream = new PassThrough()
  const messages: Message[] = []
  const done = parse(stream, message => messages.push(message as unknown as Message))
  for (const byte of Buffer.concat(frames)) stream.write(Buffer.of(byte))
  stream.end()
  await done
  return messages
}

test('the messages that we say to clients are understood as meant', async () => {
  const messages = await understood(
    parseComplete,
    bindComplete,
    closeComplete,
    noData,
    emptyQueryResponse,
    portalSuspended,
    parameterStatus('TimeZone', 'Europe/Zürich'),
    backendKeyData(4_711, Buffer.from([0, 0, 1, 2])),
    readyForQuery(transactionStatus),
    commandComplete('INSERT 0 3'),
    notification(9, 'jobs', 'paid ✓'),
    parameterDescription([23, 25]),
  )
  const names = messages.map(({ name }) => name)
  assert.deepEqual(names, [
    'parseComplete',
    'bindComplete',
    'closeComplete',
    'noData',
    'emptyQuery',
    'portalSuspended',
    'parameterStatus',
    'backendKeyData',
    'readyForQuery',
    'commandComplete',
    'notification',
    'parameterDescription',
  ])
  const [status, key, ready, complete, told, described] = messages.slice(6)
  assert.deepEqual([status?.parameterName, status?.parameterValue], ['TimeZone', 'Europe/Zürich'])
  assert.deepEqual([key?.processID, key?.secretKey], [4_711, 258])
  assert.equal(ready?.status, 'T')
  assert.equal(complete?.text, 'INSERT 0 3')
  assert.deepEqual([told?.processId, told?.channel, told?.payload], [9, 'jobs', 'paid ✓'])
  assert.deepEqual(described?.dataTypeIDs, [23, 25])
})

test('errors and notices carry severity, code, sentence, detail and hint', async () => {
  const report = { code: '53300', message: 'Zu viele Clients.', detail: 'a', hint: 'b' }
  const [error, notice] = await understood(
    errorResponse({ severity: 'FATAL', ...report }),
    noticeResponse({ severity: 'WARNING', code: '01000', message: 'ü' }),
  )
  const of = (one: Message | undefined): unknown[] => [
    one?.name,
    one?.severity,
    one?.code,
    one?.message,
    one?.hint,
  ]
  assert.deepEqual(of(error), ['error', 'FATAL', '53300', 'Zu viele Clients.', 'b'])
  assert.deepEqual(of(notice), ['notice', 'WARNING', '01000', 'ü', undefined])
})

test('rows that we make are read back, NULL and empty apart', async () => {
  const [columns, row] = await understood(
    rowDescription([{ name: 'größe' }, { name: 'n', typeId: 23 }, { name: '' }]),
    dataRow(['ä', null, '']),
  )
  const fields = columns?.fields as { name: string; dataTypeID: number; format: string }[]
  assert.deepEqual(
    fields.map(field => [field.name, field.dataTypeID, field.format]),
    [
      ['größe', 25, 'text'],
      ['n', 23, 'text'],
      ['', 25, 'text'],
    ],
  )
  assert.deepEqual(row?.fields, ['ä', null, ''])
})

test('the messages that we say to servers are those of another client, byte for byte', () => {
  assert.deepEqual(queryMessage('SELECT 1'), serialize.query('SELECT 1'))
  assert.deepEqual(syncMessage, serialize.sync())
  assert.deepEqual(flushMessage, serialize.flush())
  assert.deepEqual(terminateMessage, serialize.end())
  assert.deepEqual(copyDoneMessage, serialize.copyDone())
  assert.deepEqual(copyFailMessage('no'), serialize.copyFail('no'))
  assert.deepEqual(passwordMessage('päss'), serialize.password('päss'))
  assert.deepEqual(sslRequest, serialize.requestSsl())
  assert.deepEqual(cancelRequest(5, Buffer.from([0, 0, 0, 9])), serialize.cancel(5, 9))
  assert.deepEqual(saslResponse('c=biws'), serialize.sendSCRAMClientFinalMessage('c=biws'))
  const initial = serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=*,r=a')
  assert.deepEqual(saslInitialResponse('SCRAM-SHA-256', 'n,,n=*,r=a'), initial)
  const startup = startupMessage(0x30000, { user: 'ann', client_encoding: 'UTF8' })
  assert.deepEqual(startup, serialize.startup({ user: 'ann' }))
})

test('Parse, Bind, Describe, Execute and Close are those of another client, whatever they carry', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter(one => !one.includes('\0'))
  const value = fc.oneof(fc.constant(null), text)
  const types = fc.array(fc.nat(0x7fffffff), { maxLength: 5 })
  fc.assert(
    fc.property(text, text, types, fc.array(value, { maxLength: 6 }), (name, sql, typeIds, values) => {
      assert.deepEqual(parseMessage(name, sql, typeIds), serialize.parse({ name, text: sql, types: typeIds }))
      const bound = Buffer.from(serialize.bind({ portal: sql, statement: name, values }))
      checkBind(bound, sql, name, values)
      checkBind(bindMessage(sql, name, values), sql, name, values)
      assert.deepEqual(executeMessage(name, 7), serialize.execute({ portal: name, rows: 7 }))
      assert.deepEqual(describeMessage(statementTarget, name), serialize.describe({ type: 'S', name }))
      assert.deepEqual(closeMessage(portalTarget, name), serialize.close({ type: 'P', name }))
    }),
    { numRuns: 200 },
  )
})

function checkBind(
  frame: Buffer,
  portal: string,
  statement: string,
  values: readonly (string | null)[],
): void {
  const view = new BindView()
  assert.equal(frontendFrameBytes(frame, 0, frame.length, 1 << 20), frame.length)
  assert.equal(readBind(frame, 5, frame.length, view), null)
  assert.equal(frame.toString('utf8', view.portalFrom, view.portalTo), portal)
  assert.equal(frame.toString('utf8', view.statementFrom, view.statementTo), statement)
  const bound = readParameters(frame, view.restFrom, frame.length)
  assert.equal(bound.kind, 'values')
  if (bound.kind !== 'values') return
  assert.deepEqual(
    bound.values.map(one => one.bytes?.toString() ?? null),
    values,
  )
  assert.ok(bound.values.every(one => one.format === 0))
}

test('what another client writes is read by ours', () => {
  const parsed = Buffer.from(serialize.parse({ name: 'größe', text: 'SELECT $1', types: [23, 20] }))
  const parseView = new ParseView()
  assert.equal(readParse(parsed, 5, parsed.length, parseView), null)
  assert.equal(parsed.toString('utf8', parseView.nameFrom, parseView.nameTo), 'größe')
  assert.equal(parsed.toString('utf8', parseView.sqlFrom, parseView.sqlTo), 'SELECT $1')
  assert.deepEqual([parseView.typeCount, parsed.readInt32BE(parseView.typesFrom)], [2, 23])
  const target = new TargetView()
  const described = Buffer.from(serialize.describe({ type: 'P', name: 'c' }))
  assert.equal(readTarget(described, 5, described.length, target), null)
  assert.deepEqual([target.target, target.nameTo - target.nameFrom], [portalTarget, 1])
  const execute = new ExecuteView()
  const executed = Buffer.from(serialize.execute({ portal: '', rows: 100 }))
  assert.equal(readExecute(executed, 5, executed.length, execute), null)
  assert.deepEqual([execute.rowsMax, execute.portalTo - execute.portalFrom], [100, 0])
})

test('binary values of another client keep their format', () => {
  const frame = Buffer.from(serialize.bind({ values: [Buffer.from([1, 2]), 'x'] }))
  const view = new BindView()
  readBind(frame, 5, frame.length, view)
  const bound = readParameters(frame, view.restFrom, frame.length)
  assert.deepEqual(bound.kind === 'values' && bound.values.map(one => [one.format, one.bytes?.length]), [
    [1, 2],
    [0, 1],
  ])
})
