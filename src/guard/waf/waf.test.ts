// The guard's part as a policy has it: rules from files, findings and refusals, and what is told of files that can't be used.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CheckedWaf } from '../../file/checked-guard.ts'
import { Failure } from '../../kit/failure.ts'
import { wafFailures } from './failures.ts'
import { findingsOf, verdictOf } from './index.ts'
import { RuleLibrary } from './library.ts'

const waf: CheckedWaf = {
  rules: 'builtin',
  mode: 'block',
  paranoia: 1,
  inboundThreshold: 5,
  outboundThreshold: 4,
  exclude: [],
  bodyBytesMax: 131_072,
  unreadTypes: [],
  responses: false,
  responseBytesMax: 131_072,
}

async function inFolder(
  files: Readonly<Record<string, string>>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'waf-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    await run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function fails(kind: { readonly code: string }, says: RegExp): (error: unknown) => boolean {
  return error => error instanceof Failure && error.code === kind.code && says.test(error.message)
}

test('rules that are not there are a failure with their path', async () => {
  const library = new RuleLibrary(false)
  const rules = ['/nowhere/at/all']
  await assert.rejects(
    library.take([{ ...waf, rules }]),
    fails(wafFailures.rulesMissing, /\/nowhere\/at\/all/),
  )
  await inFolder({ 'readme.txt': 'x' }, async folder => {
    await assert.rejects(
      library.take([{ ...waf, rules: [folder] }]),
      fails(wafFailures.rulesMissing, /\.conf/),
    )
  })
  await inFolder({ 'a.conf': 'SecRule ARGS "@pmf gone.data" "id:1"' }, async folder => {
    await assert.rejects(
      library.take([{ ...waf, rules: [folder] }]),
      fails(wafFailures.rulesMissing, /gone\.data/),
    )
  })
})

test('rules that are not understood are a failure with file and line', async () => {
  await inFolder({ 'a.conf': '# x\nSecRule ARGS "@nope x" "id:1"\n' }, async folder => {
    const library = new RuleLibrary(false)
    await assert.rejects(
      library.take([{ ...waf, rules: [folder] }]),
      fails(wafFailures.rulesInvalid, /a\.conf:2: .*nope/),
    )
  })
})

test('files of a folder are read in the order of their names, lists beside them; a changed file is read again', async () => {
  const files = {
    '2.conf': 'SecRule TX:seen "@eq 1" "id:2,phase:1,deny,msg:\'second\'"',
    '1.conf': 'SecRule ARGS "@pmFromFile words.data" "id:1,phase:1,pass,msg:\'first\',setvar:tx.seen=1"',
    'words.data': 'evil\n',
    'notes.txt': 'not rules',
  }
  await inFolder(files, async folder => {
    const library = new RuleLibrary(true)
    const own = { ...waf, rules: [folder] }
    const judge = (): readonly string[] => {
      const transaction = library.book(own).open()
      transaction.requestHead({
        method: 'GET',
        target: '/?q=EVIL',
        protocol: 'HTTP/1.1',
        address: '192.0.2.1',
        requestId: 'id',
        headers: [],
      })
      transaction.requestBody(null)
      return findingsOf(transaction.judgement).map(finding => finding.rule)
    }
    await library.take([own])
    assert.deepEqual(judge(), ['1', '2'])
    writeFileSync(join(folder, 'words.data'), 'another list of words\n')
    await library.take([own])
    assert.deepEqual(judge(), [])
  })
})

test('operators hear which rules refuse a request; clients never do', () => {
  const match = {
    rule: '942100',
    message: 'SQL injection',
    variable: 'ARGS:q',
    excerpt: "1' or",
    severity: '',
    tags: [],
  }
  const refused = { rule: '949110', message: 'Inbound score exceeded', status: 403 }
  const judgement = { refused, inboundScore: 5, outboundScore: 0, matches: [match], exhausted: false }
  const said = verdictOf(judgement)
  assert.equal(said?.refusal.status, 403)
  assert.ok(!said?.refusal.text.includes('94'))
  assert.match(said?.finding.text ?? '', /942100/)
  assert.match(findingsOf(judgement)[0]?.text ?? '', /ARGS:q.*1' or/)
  assert.equal(verdictOf({ ...judgement, refused: null }), null)
  assert.equal(verdictOf({ ...judgement, refused: null, exhausted: true })?.finding.rule, 'waf:work')
  const many = { ...judgement, matches: Array.from({ length: 40 }, () => match) }
  assert.equal(findingsOf(many).length, 17)
})
