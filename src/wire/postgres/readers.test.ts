// What both sides' readers refuse, what they give, and that no bytes at all make them throw or loop.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesFrame, int16Part, int32Part, stringPart, valuePart } from './compose.ts'
import {
  authentication,
  authenticationRequest,
  BindView,
  backend,
  backendKeyData,
  dataRow,
  ExecuteView,
  errorResponse,
  frontendFrameBytes,
  negotiateProtocolVersion,
  notification,
  ParseView,
  parameterDescription,
  parameterStatus,
  parseMessage,
  readAuthentication,
  readBackendKeyData,
  readBind,
  readCommandTag,
  readCopyResponse,
  readDataRow,
  readEmpty,
  readErrorCode,
  readExecute,
  readFunctionCall,
  readMechanisms,
  readNegotiation,
  readNotification,
  readParameterDescription,
  readParameterStatus,
  readParameters,
  readParse,
  readQuery,
  readReadyForQuery,
  readReport,
  readRowDescription,
  readSaslInitialResponse,
  readStartup,
  readTarget,
  readText,
  readyForQuery,
  rowDescription,
  startupBytes,
  TargetView,
} from './index.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

type Reader = (bytes: Buffer, from: number, to: number) => unknown

const frontendReaders: Readonly<Record<string, Reader>> = {
  query: readQuery,
  text: readText,
  parse: (bytes, from, to) => readParse(bytes, from, to, parseView),
  bind: (bytes, from, to) => readBind(bytes, from, to, bindView),
  target: (bytes, from, to) => readTarget(bytes, from, to, targetView),
  execute: (bytes, from, to) => readExecute(bytes, from, to, executeView),
  parameters: readParameters,
  functionCall: readFunctionCall,
  empty: (_, from, to) => readEmpty(from, to),
  sasl: (bytes, from, to) => readSaslInitialResponse(bytes.subarray(from, to)),
}

const backendReaders: Readonly<Record<string, Reader>> = {
  authentication: readAuthentication,
  mechanisms: readMechanisms,
  parameterStatus: readParameterStatus,
  keyData: readBackendKeyData,
  ready: readReadyForQuery,
  tag: readCommandTag,
  report: readReport,
  errorCode: readErrorCode,
  rowDescription: readRowDescription,
  dataRow: readDataRow,
  parameterDescription: readParameterDescription,
  notification: readNotification,
  copy: readCopyResponse,
  negotiation: readNegotiation,
}

/** Offsets that a view gives must lie inside what was read. */
function inside(from: number, to: number): void {
  for (const view of [parseView, bindView, targetView, executeView]) {
    for (const [name, at] of Object.entries(view)) {
      if (/(From|To)$/.test(name)) assert.ok(at >= from && at <= to, `${name} ${at} of ${from} to ${to}`)
    }
  }
}

test('no bytes make a reader throw, and its offsets stay inside its message', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.array(fc.constantFrom(0, 0, 1, 2, 0x50, 0x53, 0x7f, 0x80, 0xff), { maxLength: 60 }),
  )
  fc.assert(
    fc.property(bytes, fc.nat(8), fc.nat(8), (content, before, behind) => {
      const whole = Buffer.concat([Buffer.alloc(before, 1), Buffer.from(content), Buffer.alloc(behind, 0)])
      const to = before + content.length
      for (const view of [parseView, bindView, targetView, executeView]) {
        for (const name of Object.keys(view))
          if (/(From|To)$/.test(name)) Object.assign(view, { [name]: before })
      }
      for (const reader of Object.values(frontendReaders)) reader(whole, before, to)
      for (const reader of Object.values(backendReaders)) reader(whole, before, to)
      inside(before, to)
    }),
    { numRuns: 5_000 },
  )
})

test('no bytes make the frame scanner or the startup reader throw, and neither answers beyond its bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), content => {
      const bytes = Buffer.from(content)
      const answer = frontendFrameBytes(bytes, 0, bytes.length, 5_000)
      assert.ok(Number.isInteger(answer) && answer >= -3 && answer <= 5_000)
      const size = startupBytes(bytes, 0, bytes.length)
      assert.ok(size >= -2 && size <= 10_000)
      if (bytes.length >= 8) {
        bytes.writeInt32BE(0x30000, 4)
        readStartup(bytes, 0, bytes.length)
      }
    }),
    { numRuns: 5_000 },
  )
})

test('a message cut at each byte is refused by its reader, not misread', () => {
  const bind = bytesFrame(
    0x42,
    stringPart('p'),
    stringPart('s'),
    int16Part(1, 1, 1),
    valuePart('abc'),
    int16Part(0),
  )
  const cuts: [string, Buffer][] = [
    ['parse', parseMessage('name', 'SELECT $1', [23])],
    ['execute', bytesFrame(0x45, stringPart('portal'), int32Part(5))],
    ['target', bytesFrame(0x44, Buffer.from('S'), stringPart('name'))],
    ['query', bytesFrame(0x51, stringPart('SELECT 1'))],
  ]
  for (const [name, frame] of cuts) {
    const reader = frontendReaders[name] as Reader
    assert.equal(reader(frame, 5, frame.length), null, name)
    for (let to = 5; to < frame.length; to++)
      assert.notEqual(reader(frame, 5, to), null, `${name} cut at ${to}`)
    const longer = Buffer.concat([frame, Buffer.of(0)])
    assert.notEqual(reader(longer, 5, longer.length), null, `${name} with a byte more`)
  }
  readBind(bind, 5, bind.length, bindView)
  for (let to = bindView.restFrom; to < bind.length - 2; to++)
    assert.equal(readParameters(bind, bindView.restFrom, to).kind, 'problem', `cut at ${to}`)
})

test('counts that announce more than there is, and formats that fit no count, are refused', () => {
  const problem = (bytes: Buffer): string => {
    const bound = readParameters(bytes, 0, bytes.length)
    return bound.kind === 'problem' ? bound.problem.sentence : 'read'
  }
  assert.match(problem(int16Part(0xffff)), /ends before/)
  assert.match(problem(int16Part(0, 0xffff)), /ends before/)
  assert.match(problem(int16Part(2, 0, 0, 3)), /Format codes/)
  assert.match(problem(Buffer.concat([int16Part(0, 1), int32Part(-2)])), /ends before/)
  assert.match(problem(Buffer.concat([int16Part(0, 1), int32Part(2 ** 31 - 1)])), /ends before/)
})

test('one format code counts for all values, several for one each', () => {
  const values = (...formats: readonly number[]): unknown => {
    const bytes = Buffer.concat([int16Part(formats.length, ...formats, 2), valuePart('a'), valuePart(null)])
    const bound = readParameters(bytes, 0, bytes.length)
    return bound.kind === 'values' && bound.values.map(one => [one.format, one.bytes?.toString() ?? null])
  }
  assert.deepEqual(values(), [
    [0, 'a'],
    [0, null],
  ])
  assert.deepEqual(values(1), [
    [1, 'a'],
    [1, null],
  ])
  assert.deepEqual(values(0, 1), [
    [0, 'a'],
    [1, null],
  ])
})

function payload<Value>(frame: Buffer, read: (bytes: Buffer, from: number, to: number) => Value): Value {
  return read(frame, 5, frame.length)
}

test('messages of servers are read as they were built', () => {
  assert.deepEqual(payload(parameterStatus('a', 'ü'), readParameterStatus), { name: 'a', value: 'ü' })
  const key = Buffer.alloc(32, 5)
  assert.deepEqual(payload(backendKeyData(77, key), readBackendKeyData), { processId: 77, key })
  assert.equal(payload(readyForQuery(0x54), readReadyForQuery), 0x54)
  assert.equal(payload(bytesFrame(0x5a, Buffer.from('Q')), readReadyForQuery), -1)
  assert.equal(payload(bytesFrame(0x43, stringPart('SELECT 5')), readCommandTag), 'SELECT 5')
  assert.deepEqual(
    payload(parameterDescription([23, 4_294_967_295]), readParameterDescription),
    [23, 4_294_967_295],
  )
  assert.deepEqual(payload(notification(1, 'c', 'p'), readNotification), {
    processId: 1,
    channel: 'c',
    payload: 'p',
  })
  assert.deepEqual(payload(negotiateProtocolVersion(2, ['_pq_.a']), readNegotiation), {
    minorVersion: 2,
    options: ['_pq_.a'],
  })
  assert.deepEqual(payload(bytesFrame(0x47, Buffer.of(1), int16Part(2, 1, 1)), readCopyResponse), {
    binary: true,
    columns: 2,
  })
  assert.deepEqual(
    payload(dataRow(['a', null]), readDataRow)?.map(one => one?.toString() ?? null),
    ['a', null],
  )
  assert.deepEqual(payload(rowDescription([{ name: 'n', typeId: 20 }]), readRowDescription), [
    { name: 'n', tableId: 0, typeId: 20, format: 0 },
  ])
  const asked = authenticationRequest(authentication.sasl, Buffer.from('SCRAM-SHA-256\0\0'))
  assert.equal(payload(asked, readAuthentication), authentication.sasl)
  assert.deepEqual(readMechanisms(asked, 9, asked.length), ['SCRAM-SHA-256'])
  assert.equal(asked[0], backend.authentication)
})

test('an error is read whole, or only its SQLSTATE', () => {
  const frame = errorResponse({
    severity: 'ERROR',
    code: '25006',
    message: 'read only',
    detail: 'd',
    hint: 'h',
  })
  assert.deepEqual(payload(frame, readReport), {
    severity: 'ERROR',
    code: '25006',
    message: 'read only',
    detail: 'd',
    hint: 'h',
  })
  assert.equal(payload(frame, readErrorCode), '25006')
  assert.equal(readReport(frame, 5, frame.length - 1), null)
})

test('counts of servers that announce more than there is give null, at once', () => {
  assert.equal(payload(bytesFrame(0x54, int16Part(0xffff)), readRowDescription), null)
  assert.equal(payload(bytesFrame(0x44, int16Part(0xffff)), readDataRow), null)
  assert.equal(payload(bytesFrame(0x74, int16Part(0xffff)), readParameterDescription), null)
  assert.equal(payload(bytesFrame(0x76, int32Part(2, 2 ** 31 - 1)), readNegotiation), null)
  assert.equal(payload(bytesFrame(0x76, int32Part(2, -1)), readNegotiation), null)
  assert.equal(readMechanisms(Buffer.from('a\0'.repeat(40)), 0, 80), null)
})
