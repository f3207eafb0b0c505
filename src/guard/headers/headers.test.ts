import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedSecurityHeaders } from '../../file/checked-guard.ts'
import { Http1ResponseHead } from '../../wire/http1/index.ts'
import type { AnswerPassage } from '../answer.ts'
import type { GuardSurroundings } from '../part.ts'
import { FakePassage } from '../testing/fake-passage.ts'
import { policyOf, specOf } from '../testing/spec.ts'
import { visitFor } from '../testing/visits.ts'
import { createPart } from './index.ts'

const headers: CheckedSecurityHeaders = {
  contentSecurityPolicy: "script-src 'nonce-{nonce}'",
  contentSecurityPolicyReportOnly: '',
  referrerPolicy: 'same-origin',
  permissionsPolicy: '',
  crossOriginOpenerPolicy: '',
  crossOriginResourcePolicy: '',
  frameOptions: 'DENY',
  usesNonce: true,
}
const route = { id: 'r', path: '/*' }
const part = createPart({} as GuardSurroundings)

function headOf(text: string): Http1ResponseHead {
  const head = new Http1ResponseHead({
    requestLineBytesMax: 1_000,
    headerBytesMax: 8_000,
    headerCountMax: 50,
  })
  assert.ok(head.parse(`HTTP/1.1 ${text}\r\n\r\n`, 'GET') > 0)
  return head
}

function answered(head: string): { passage: FakePassage; nonce: string } {
  const policy = policyOf('trial', { headers })
  const step = part.step(policy, route, specOf([policy]))
  assert.ok(step !== null)
  const passage = new FakePassage({ fields: 'Tenfold-Nonce: forged\r\n' })
  const visit = visitFor(passage, { steps: [{ step, detectOnly: false }] })
  visit.begin()
  part
    .answer?.(policy, route, specOf([policy]), null)
    ?.begin(passage as unknown as AnswerPassage, headOf(head))
  return { passage, nonce: visit.nonce }
}

test('an answer has the fields, with a nonce that the instance was told and that no client sets', () => {
  const { passage, nonce } = answered('200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store')
  assert.equal(
    passage.extraFields,
    `X-Content-Type-Options: nosniff\r\nContent-Security-Policy: script-src 'nonce-${nonce}'\r\nReferrer-Policy: same-origin\r\nX-Frame-Options: DENY\r\n`,
  )
  assert.deepEqual(passage.requestEdits, { drop: ['tenfold-nonce'], add: `Tenfold-Nonce: ${nonce}\r\n` })
  assert.ok(Buffer.from(nonce, 'base64').length >= 16)
  assert.notEqual(answered('200 OK').nonce, nonce)
})

test('a field that the instance sends itself is the one that counts', () => {
  const { passage } = answered('200 OK\r\nx-frame-options: SAMEORIGIN\r\nContent-Security-Policy: x')
  assert.equal(passage.extraFields, 'X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n')
})

test('a 304 brings no nonce, and a page with one is not stored unless the instance says so', () => {
  assert.doesNotMatch(answered('304 Not Modified').passage.extraFields, /nonce-/)
  assert.match(
    answered('200 OK\r\nContent-Type: text/html').passage.extraFields,
    /Cache-Control: private, no-cache/,
  )
  const image = answered('200 OK\r\nContent-Type: image/png').passage.extraFields
  assert.doesNotMatch(image, /Cache-Control/)
})

test('a policy without headers has no part in this', () => {
  const policy = policyOf('none')
  assert.equal(part.step(policy, route, specOf([policy])), null)
  assert.equal(part.answer?.(policy, route, specOf([policy]), null), null)
})
