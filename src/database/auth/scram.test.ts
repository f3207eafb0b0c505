import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { authenticationOk } from '../../wire/postgres/write-backend.ts'
import { saslInitialResponse, saslResponse } from '../../wire/postgres/write-frontend.ts'
import { ClientLogins, scramClientLogin } from './client-login.ts'
import type { ClientLogin, LoginStep, ServerLogin } from './contract.ts'
import { preparedPassword } from './password.ts'
import {
  clientProof,
  keysOf,
  type ScramVerifier,
  serverSignature,
  verifierOf,
  verifierText,
} from './scram.ts'
import { serverLogin } from './server-login.ts'

// RFC 7677 3: user `user`, password `pencil`.
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const clientNonce = 'rOprNGfwEbeRWgbNEkqO'
const serverNonce = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const clientFirst = `n=user,r=${clientNonce}`
const serverFirst = `r=${clientNonce}${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const withoutProof = `c=biws,r=${clientNonce}${serverNonce}`
const proof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
const signature = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

function first(text: string): Buffer {
  return saslInitialResponse('SCRAM-SHA-256', text).subarray(5)
}

function next(text: string): Buffer {
  return saslResponse(text).subarray(5)
}

/** What a step sends, without frame header and request code. */
function said(step: LoginStep): string {
  return step.kind === 'send' ? step.bytes.toString('latin1', 9) : `${step.kind}`
}

function refusal(step: LoginStep): string {
  return step.kind === 'refused' ? `${step.code} ${step.message}` : step.kind
}

function login(verifier: ScramVerifier = verifierOf('pencil', salt, 4_096), known = true): ClientLogin {
  return scramClientLogin('user', verifier, known, serverNonce)
}

test('the proof and the signature are those of RFC 7677', () => {
  const keys = keysOf('pencil', salt, 4_096)
  const authMessage = `${clientFirst},${serverFirst},${withoutProof}`
  assert.equal(clientProof(keys.clientKey, authMessage).toString('base64'), proof)
  assert.equal(serverSignature(keys.serverKey, authMessage).toString('base64'), signature)
})

test('the conversation of RFC 7677 logs in, word for word', () => {
  const one = login()
  assert.match(one.begin().toString('latin1'), /^R.*SCRAM-SHA-256\0\0$/s)
  assert.equal(said(one.take(first(`n,,${clientFirst}`))), serverFirst)
  const done = one.take(next(`${withoutProof},p=${proof}`))
  assert.equal(done.kind, 'done')
  const bytes = done.kind === 'done' ? (done.bytes as Buffer) : Buffer.alloc(0)
  assert.equal(bytes.toString('latin1', 9, bytes.length - 9), `v=${signature}`)
  assert.deepEqual(bytes.subarray(-9), authenticationOk)
  assert.equal(
    refusal(one.take(next(`${withoutProof},p=${proof}`))).slice(0, 5),
    '08P01',
    'a proof counts once',
  )
})

test('a client that could bind the channel may log in when it says that we can not', () => {
  const one = login()
  one.take(first(`y,,${clientFirst}`))
  const text = refusal(one.take(next(`${withoutProof},p=${proof}`)))
  assert.match(text, /^08P01 .*channel binding/, 'its header is part of what it proves')
})

test('a wrong proof, and any proof of a user that is not there, get the same refusal', () => {
  const wrong = `${withoutProof},p=${Buffer.alloc(32, 1).toString('base64')}`
  const texts = [login(), login(verifierOf('pencil', salt, 4_096), false)].map(one => {
    one.take(first(`n,,${clientFirst}`))
    return refusal(one.take(next(wrong)))
  })
  assert.equal(texts[0], '28P01 password authentication failed for user "user"')
  assert.equal(texts[1], texts[0])
})

test('what is malformed, bound, or of another mechanism is refused, and nothing may follow', () => {
  const begins: [Buffer, RegExp][] = [
    [saslInitialResponse('SCRAM-SHA-1', 'n,,n=,r=a').subarray(5), /^08P01 .*SCRAM-SHA-256/],
    [saslInitialResponse('SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=a').subarray(5), /^08P01/],
    [first('p=tls-server-end-point,,n=,r=abc'), /^08P01 Channel binding/],
    [first('n,a=other,n=,r=abc'), /^0A000/],
    [first('n,,m=ext,n=,r=abc'), /^08P01/],
    [first('n,,n=,r='), /^08P01/],
    [first('n,,n=,r=a b'), /^08P01/],
    [first('n,,r=abc'), /^08P01/],
    [first(''), /^08P01/],
    [Buffer.alloc(0), /^08P01/],
    [Buffer.from('SCRAM-SHA-256\0\0\0\0\x7f'), /^08P01/],
  ]
  for (const [payload, expected] of begins) {
    const one = login()
    assert.match(refusal(one.take(payload)), expected, payload.toString('latin1'))
    assert.match(refusal(one.take(next(`${withoutProof},p=${proof}`))), /^08P01/)
  }
  const ends = [
    '',
    withoutProof,
    `c=biws,r=${clientNonce}other,p=${proof}`,
    `c=eSws,r=${clientNonce}${serverNonce},p=${proof}`,
    `r=${clientNonce}${serverNonce},p=${proof}`,
    `${withoutProof},p=AAAA`,
    `${withoutProof},p=${proof.slice(0, -1)}`,
    `${withoutProof},p=${proof}\0`,
  ]
  for (const text of ends) {
    const one = login()
    one.take(first(`n,,${clientFirst}`))
    assert.match(refusal(one.take(next(text))), /^08P01/, text)
  }
})

test('a client that waits for a challenge gets an empty one', () => {
  const one = login()
  assert.equal(said(one.take(Buffer.from('SCRAM-SHA-256\0\xff\xff\xff\xff', 'latin1'))), '')
  assert.equal(said(one.take(next(`n,,${clientFirst}`))), serverFirst)
})

test('no bytes make a login throw, whichever side they come to', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.constantFrom(
      clientFirst,
      serverFirst,
      `n,,${clientFirst}`,
      withoutProof,
      `${withoutProof},p=${proof}`,
    ),
  )
  const steps = fc.array(fc.tuple(fc.nat(13), text, fc.boolean()), { maxLength: 4 })
  fc.assert(
    fc.property(steps, messages => {
      const client = login(cheapVerifier)
      const server = serverLogin({
        user: 'u',
        password: 'p',
        md5Allowed: true,
        secure: true,
        nonce: clientNonce,
      })
      for (const [code, content, begins] of messages) {
        assert.ok(client.take(begins ? first(content) : next(content)).kind)
        const request = Buffer.from(`\0\0\0${String.fromCharCode(code)}${content}`, 'latin1')
        assert.ok(server.take(request).kind)
      }
    }),
    { numRuns: 1_000 },
  )
})
const cheapVerifier = verifierOf('pencil', salt, 1)

/** Both of ours against each other; what each refused, or ''. */
function converse(client: ServerLogin, server: ClientLogin): string {
  let step: LoginStep = client.take(server.begin().subarray(5))
  for (let round = 0; round < 4; round++) {
    if (step.kind === 'refused') return `${step.code} ${step.message}`
    if (step.kind === 'done') return 'the client was done too early'
    const answer = server.take(step.bytes.subarray(5))
    if (answer.kind === 'refused') return `${answer.code} ${answer.message}`
    if (answer.kind === 'done') return finish(client, answer.bytes as Buffer)
    step = client.take(answer.bytes.subarray(5))
  }
  return 'no end'
}

function finish(client: ServerLogin, bytes: Buffer): string {
  const final = bytes.subarray(5, bytes.length - 9)
  const steps = [client.take(final), client.take(bytes.subarray(-4))]
  return steps.map(step => (step.kind === 'refused' ? step.message : step.kind)).join(' ')
}

test('our client logs in to our server, with a password or with the keys of one', () => {
  const logins = new ClientLogins()
  const options = { user: 'ann', md5Allowed: false, secure: false }
  for (const password of ['secret', 'pässwörd', '', 'a'.repeat(500), '\u2168 \u00ad', '\u0007', '🦩']) {
    const client = serverLogin({ ...options, password })
    assert.equal(converse(client, logins.login('ann', password)), 'send done', password)
  }
  const keys = keysOf('pencil', salt, 4_096)
  assert.equal(converse(serverLogin({ ...options, password: keys }), login()), 'send done')
  const refused = converse(serverLogin({ ...options, password: 'wrong' }), logins.login('ann', 'secret'))
  assert.equal(refused, '28P01 password authentication failed for user "ann"')
  const nobody = converse(serverLogin({ ...options, password: 'secret' }), logins.login('bob', null))
  assert.equal(nobody, '28P01 password authentication failed for user "bob"')
})

test('the salt tells nobody whether a user exists: it stays the same for each name, known or not', () => {
  const logins = new ClientLogins()
  const saltOf = (user: string, password: string | null): string => {
    const step = logins.login(user, password).take(first('n,,n=,r=abc'))
    return /,s=([^,]+),i=4096$/.exec(said(step))?.[1] as string
  }
  assert.equal(saltOf('ann', 'secret'), saltOf('ann', null))
  assert.equal(saltOf('bob', null), saltOf('bob', null))
  assert.notEqual(saltOf('ann', 'secret'), saltOf('bob', 'secret'))
  assert.equal(Buffer.from(saltOf('bob', null), 'base64').length, 16)
})

test('a server that can not prove that it knows the password is refused', () => {
  const client = (): ServerLogin =>
    serverLogin({ user: 'u', password: 'pencil', md5Allowed: false, secure: true, nonce: clientNonce })
  const begin = Buffer.from('\0\0\0\x0aSCRAM-SHA-256\0\0')
  const challenge = Buffer.from(`\0\0\0\x0b${serverFirst}`)
  const forged = client()
  forged.take(begin)
  forged.take(challenge)
  assert.match(
    refusal(forged.take(Buffer.from(`\0\0\0\x0cv=${signature}`))),
    /^28000 .*does not know the password/,
  )
  const early = client()
  early.take(begin)
  early.take(challenge)
  assert.match(
    refusal(early.take(Buffer.alloc(4))),
    /^08P01 .*out of order/,
    'AuthenticationOk without a proof',
  )
  const downgraded = client()
  downgraded.take(begin)
  assert.match(
    refusal(downgraded.take(Buffer.from('\0\0\0\x03'))),
    /^08P01/,
    'the password after SCRAM began',
  )
})

test('challenges of a server that are malformed, foreign or too dear are refused', () => {
  const answer = (text: string): string => {
    const client = serverLogin({
      user: 'u',
      password: 'p',
      md5Allowed: false,
      secure: false,
      nonce: clientNonce,
    })
    client.take(Buffer.from('\0\0\0\x0aSCRAM-SHA-256\0\0'))
    return refusal(client.take(Buffer.from(`\0\0\0\x0b${text}`)))
  }
  const nonce = `r=${clientNonce}x`
  for (const text of [
    '',
    nonce,
    `${nonce},s=,i=1`,
    `${nonce},s=!,i=1`,
    `${nonce},s=AAAA,i=0`,
    `${nonce},s=AAAA,i=1e3`,
  ])
    assert.match(answer(text), /^08P01/, text)
  assert.match(answer(`r=${clientNonce},s=AAAA,i=1`), /^08P01/, 'the server added no nonce of its own')
  assert.match(answer('r=another,s=AAAA,i=1'), /^08P01/)
  assert.match(answer(`${nonce},s=AAAA,i=1000001`), /^28000 .*1000001 rounds/)
})

test('MD5 is said only where it is allowed, the password itself only under TLS', () => {
  const take = (allowed: boolean, code: string, content = ''): LoginStep =>
    serverLogin({ user: 'u', password: 'p', md5Allowed: allowed, secure: allowed }).take(
      Buffer.from(`\0\0\0${code}${content}`, 'latin1'),
    )
  assert.match(refusal(take(false, '\x05', 'salt')), /^28000 .*MD5/)
  assert.match(refusal(take(false, '\x03')), /^28000 .*only under TLS/)
  assert.match(refusal(take(true, '\x07')), /^28000 .*kind of login \(7\)/)
  const plain = take(true, '\x03')
  assert.equal(plain.kind === 'send' && plain.bytes.toString('latin1'), 'p\0\0\0\x06p\0')
  // md5(md5(password user) salt), by another hand.
  const hashed = take(true, '\x05', 'salt')
  assert.equal(hashed.kind === 'send' && hashed.bytes.toString('latin1', 5), `md5${md5Text}\0`)
})
const md5Text = 'c827f95590aef08f2d04ac5e8d94d9c3'

test('passwords are prepared as PostgreSQL prepares them', () => {
  assert.equal(preparedPassword('I\u00adX'), 'IX', 'a soft hyphen is nothing')
  assert.equal(preparedPassword('\u2168'), 'IX', 'compatibility characters are decomposed')
  assert.equal(preparedPassword('a\u00a0b'), 'a b', 'a space is a space')
  assert.equal(preparedPassword('\u0007'), '\u0007', 'prohibited: as it is')
  assert.equal(preparedPassword('\u0627\u0031'), '\u0627\u0031', 'mixed directions: as it is')
  assert.equal(preparedPassword('\u00ad'), '\u00ad', 'nothing left: as it is')
})

test('a verifier is written as PostgreSQL keeps it', () => {
  assert.equal(
    verifierText(verifierOf('pencil', salt, 4_096)),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  )
})
