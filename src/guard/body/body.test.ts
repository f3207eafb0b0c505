import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import type { CheckedGuardPolicy, CheckedUploads, CheckedWaf } from '../../file/checked-guard.ts'
import { bodiesThatAreNot } from '../../wire/body/testing/bodies.ts'
import type { GuardSurroundings } from '../part.ts'
import { verdict } from '../passage.ts'
import { FakePassage, type FakeRequest } from '../testing/fake-passage.ts'
import { policyOf, specOf } from '../testing/spec.ts'
import { visitFor } from '../testing/visits.ts'
import { bodyOf, createPart, type SeenBody } from './index.ts'

const waf: CheckedWaf = {
  rules: 'builtin',
  mode: 'block',
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  exclude: [],
  bodyBytesMax: 20_000,
  unreadTypes: ['application/octet-stream', 'video/*'],
  responses: false,
  responseBytesMax: 0,
}
const part = createPart({} as GuardSurroundings)

interface Outcome {
  readonly answer: number
  readonly code: string
  readonly rules: readonly string[]
  readonly seen: SeenBody | undefined
}

/** Through the step, until it has decided. */
async function through(request: FakeRequest, change: Partial<CheckedGuardPolicy> = {}): Promise<Outcome> {
  const policy = policyOf('trial', { waf, ...change })
  const step = part.step(policy, { id: 'r', path: '/*' }, specOf([policy]))
  assert.ok(step !== null)
  const passage = new FakePassage({ method: 'POST', ...request })
  const visit = visitFor(passage, { steps: [{ step, detectOnly: false }] })
  let answer = visit.begin()
  if (answer === verdict.pending) {
    const end = performance.now() + 20_000
    while (passage.resumed.length === 0 && performance.now() < end) await new Promise(setImmediate)
    answer = passage.resumed[0] as number
  }
  const rules = visit.findings.map(finding => finding.rule)
  return { answer, code: passage.refusal?.code ?? '', rules, seen: bodyOf(visit) }
}

const json = (body: string | Buffer, more = ''): FakeRequest => ({
  fields: `Content-Type: application/json\r\n${more}`,
  body,
})

test('a request without a body passes at once', async () => {
  const { answer, seen } = await through({ method: 'GET', body: '' })
  assert.deepEqual([answer, seen], [verdict.pass, { body: null, refusal: null }])
})

test('a clear body passes, and rules see what is in it', async () => {
  const { answer, seen } = await through(json('{"a":"x"}'))
  assert.equal(answer, verdict.pass)
  const { processor, bytes, text, args, error } = seen?.body ?? {}
  assert.deepEqual(
    { processor, bytes, text, args, error },
    { processor: 'JSON', bytes: 9, text: '{"a":"x"}', args: [['json.a', 'x']], error: '' },
  )
})

test('each body that is not clear is refused with 400, and told where', async () => {
  for (const [what, problem, type, body] of bodiesThatAreNot) {
    if (body === '') continue
    const fields = type === '' ? 'Content-Type:\r\n' : `Content-Type: ${type}\r\n`
    const { answer, code, rules, seen } = await through({ fields, body: Buffer.from(body, 'latin1') })
    assert.deepEqual(
      [answer, code, rules],
      [verdict.refuse, 'GUARD_BODY_AMBIGUOUS', [`body:${problem}`]],
      what,
    )
    assert.notEqual(seen?.refusal?.text, '', what)
  }
})

test('two Content-Type fields are refused, whatever they say', async () => {
  const fields = 'Content-Type: application/json\r\ncontent-type: application/json\r\n'
  assert.equal((await through({ fields, body: '{}' })).code, 'GUARD_BODY_AMBIGUOUS')
})

test('where rules only detect, the same is noted and passes', async () => {
  const { answer, code, rules, seen } = await through(json('{"a":1,"a":2}'), {
    waf: { ...waf, mode: 'detect' },
  })
  assert.deepEqual([answer, code, rules], [verdict.pass, '', ['body:json-duplicate-key']])
  assert.match(seen?.body?.error ?? '', /twice/)
})

test('a body past the bound is refused, also where only its decoded form is', async () => {
  const long = JSON.stringify('x'.repeat(30_000))
  assert.equal((await through(json(long))).code, 'GUARD_BODY_TOO_LARGE')
  const packed = await through(json(gzipSync(long), 'Content-Encoding: gzip\r\n'))
  assert.deepEqual([packed.code, packed.rules], ['GUARD_BODY_TOO_LARGE', ['body:size']])
})

test('bombs in any coding stop at the bound', async () => {
  const zeros = Buffer.alloc(64 << 20)
  const bombs: Record<string, Buffer> = {
    gzip: gzipSync(zeros, { level: 1 }),
    deflate: deflateSync(zeros, { level: 1 }),
    br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
    zstd: zstdCompressSync(zeros),
  }
  const roomy = { waf: { ...waf, bodyBytesMax: 128 << 10 } }
  for (const [coding, bomb] of Object.entries(bombs)) {
    const { code } = await through(json(bomb, `Content-Encoding: ${coding}\r\n`), roomy)
    assert.equal(code, 'GUARD_BODY_TOO_LARGE', coding)
  }
})

test('one coding is undone and looked at; several, unknown ones and rubbish are refused', async () => {
  const body = '{"a":"x"}'
  const packs: Record<string, (text: string) => Buffer> = {
    gzip: gzipSync,
    'x-gzip': gzipSync,
    GZIP: gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
  }
  for (const [coding, pack] of Object.entries(packs)) {
    const { answer, seen } = await through(json(pack(body), `Content-Encoding: ${coding}\r\n`))
    assert.deepEqual([answer, seen?.body?.args], [verdict.pass, [['json.a', 'x']]], coding)
  }
  const bare = await through(json(deflateRawSync(body), 'Content-Encoding: deflate\r\n'))
  assert.deepEqual(bare.seen?.body?.args, [['json.a', 'x']])
  const refused: readonly (readonly [string, Buffer, string])[] = [
    ['gzip, gzip', gzipSync(gzipSync(body)), 'GUARD_BODY_CODING'],
    ['compress', Buffer.from(body), 'GUARD_BODY_CODING'],
    ['constructor', Buffer.from(body), 'GUARD_BODY_CODING'],
    ['gzip', Buffer.from(body), 'GUARD_BODY_CODING_BAD'],
    ['gzip', gzipSync(body).subarray(0, 15), 'GUARD_BODY_CODING_BAD'],
    ['gzip', Buffer.concat([gzipSync(body), Buffer.from('{"a":"y"}')]), 'GUARD_BODY_CODING_BAD'],
  ]
  for (const [coding, bytes, code] of refused)
    assert.equal((await through(json(bytes, `Content-Encoding: ${coding}\r\n`))).code, code, coding)
  const twice = 'Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n'
  assert.equal((await through(json(gzipSync(gzipSync(body)), twice))).code, 'GUARD_BODY_CODING')
})

test('what stands in clear in a packed form is for the rules too: services that do not unpack would read it', async () => {
  const attack = 'x=1&q=%3Cscript%3Ealert(1)%3C/script%3E&y=2'
  const plain = `a=${'b'.repeat(400)}`
  const form = 'Content-Type: application/x-www-form-urlencoded\r\n'
  const packed = gzipSync(plain)
  // A comment in the header (RFC 1952 2.3.1): who unpacks passes over it.
  const head = Buffer.from(packed.subarray(0, 10))
  head[3] = 16
  const comment = Buffer.concat([head, Buffer.from(`&${attack}&\0`), packed.subarray(10)])
  // A frame that is passed over (RFC 8878 3.1.2).
  const skipped = Buffer.alloc(8)
  skipped.writeUInt32LE(0x184d2a50, 0)
  skipped.writeUInt32LE(attack.length, 4)
  const frame = Buffer.concat([skipped, Buffer.from(attack), zstdCompressSync(plain)])
  for (const [coding, body] of [
    ['gzip', comment],
    ['zstd', frame],
  ] as const) {
    const { seen } = await through({ fields: `${form}Content-Encoding: ${coding}\r\n`, body })
    const args = seen?.body?.args ?? []
    assert.deepEqual(args[0], ['a', 'b'.repeat(400)], coding)
    assert.ok(
      args.some(([name, value]) => name === 'encoded-body' && value.includes('%3Cscript%3E')),
      coding,
    )
  }
  const clean = await through({
    fields: `${form}Content-Encoding: gzip\r\n`,
    body: gzipSync(plain, { level: 0 }),
  })
  assert.equal(clean.seen?.body?.args.length, 1, 'what both readers see is no second argument')
})

test('types that nobody reads are refused unless they are listed', async () => {
  const of = async (type: string): Promise<string> =>
    (await through({ fields: type === '' ? '' : `Content-Type: ${type}\r\n`, body: 'xyz' })).code
  assert.equal(await of('application/x-thing'), 'GUARD_BODY_TYPE')
  assert.equal(await of(''), 'GUARD_BODY_TYPE')
  assert.equal(await of('multipart/mixed; boundary=x'), 'GUARD_BODY_TYPE')
  assert.equal(await of('application/octet-stream'), '')
  assert.equal(await of('Video/MP4'), '')
})

const uploads: CheckedUploads = { types: ['image/png'], bytesMax: 1 << 20, countMax: 1 }
const upload = (type: string, bytes: Buffer, files = 1): FakeRequest => {
  const head = `--B\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\nContent-Type: ${type}\r\n\r\n`
  const parts = Array.from({ length: files }, () => [Buffer.from(head), bytes, Buffer.from('\r\n')]).flat()
  return {
    fields: 'Content-Type: multipart/form-data; boundary=B\r\n',
    body: Buffer.concat([...parts, Buffer.from('--B--\r\n')]),
  }
}
const picture = (size: number): Buffer =>
  Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(size, 0x80)])

test('files may be larger than what is looked at of other bodies, within their own bounds', async () => {
  const good = await through(upload('image/png', picture(900_000)), { uploads })
  assert.deepEqual([good.answer, good.seen?.body?.files[0]?.bytes], [verdict.pass, 900_008])
  assert.equal((await through(upload('image/gif', picture(10)), { uploads })).code, 'GUARD_UPLOAD_TYPE')
  assert.equal(
    (await through(upload('image/png', picture(1 << 20)), { uploads })).code,
    'GUARD_UPLOAD_TOO_LARGE',
  )
  assert.equal(
    (await through(upload('image/png', picture(10), 2), { uploads })).code,
    'GUARD_UPLOADS_TOO_MANY',
  )
})

test('uploads are judged without rules too', async () => {
  const policy = policyOf('trial', { uploads })
  const step = part.step(policy, { id: 'r', path: '/*' }, specOf([policy]))
  assert.ok(step !== null)
  assert.equal(part.step(policyOf('none'), { id: 'r', path: '/*' }, specOf()), null)
})

test('uploads are in force where rules only detect, also in forms that can not be read; other bodies are only noted', async () => {
  const detecting = { uploads, waf: { ...waf, mode: 'detect' as const } }
  const wrong = upload('image/gif', picture(10))
  assert.equal((await through(wrong, detecting)).code, 'GUARD_UPLOAD_TYPE')
  const doubled = { ...wrong, fields: `${wrong.fields}Content-Type: text/plain\r\n` }
  assert.equal((await through(doubled, detecting)).code, 'GUARD_BODY_AMBIGUOUS')
  assert.equal((await through(json('{"a":1,"a":2}'), detecting)).code, '')
  assert.equal((await through(wrong, { ...detecting, detectOnly: ['waf'] })).code, '')
})

test('a client that goes while its body is held or decoded leaves nothing to be decided', async () => {
  const policy = policyOf('trial', { waf })
  const step = part.step(policy, { id: 'r', path: '/*' }, specOf([policy]))
  assert.ok(step !== null)
  const passage = new FakePassage({ method: 'POST', ...json(gzipSync('{}'), 'Content-Encoding: gzip\r\n') })
  const visit = visitFor(passage, { steps: [{ step, detectOnly: false }] })
  assert.equal(visit.begin(), verdict.pending)
  await new Promise(setImmediate)
  passage.over(true)
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  assert.deepEqual([passage.resumed, visit.findings], [[], []])
})
