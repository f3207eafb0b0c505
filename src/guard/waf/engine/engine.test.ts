// Small rule sets and what they say of small requests: the meaning of SecLang's parts, one by one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRules, RuleBook, type RuleSettings } from '../rules.ts'
import { RuleSyntaxError } from '../seclang/lines.ts'
import type { WafBody, WafField, WafJudgement } from '../transaction.ts'

interface Asked {
  readonly target?: string
  readonly method?: string
  readonly headers?: readonly WafField[]
  readonly body?: Partial<WafBody>
  readonly answer?: string
}

const data: Readonly<Record<string, string>> = { 'words.data': '# comment\nalpha\n\nbeta gamma\n' }

function bookOf(text: string, settings: Partial<RuleSettings> = {}): RuleBook {
  const source = {
    file: 'test.conf',
    text,
    readFile: (name: string) => data[name] ?? assert.fail(`no ${name}`),
  }
  const all = { paranoia: 1, inboundThreshold: 5, outboundThreshold: 4, exclude: [], endsAtRefusal: false }
  return new RuleBook(compileRules([source]), { ...all, ...settings })
}

const emptyBody: WafBody = {
  processor: '',
  bytes: 0,
  text: '',
  args: [],
  files: [],
  partHeaders: [],
  xmlTexts: [],
  xmlAttributes: [],
  error: '',
}

function judge(book: RuleBook, asked: Asked = {}): WafJudgement {
  const transaction = book.open()
  transaction.requestHead({
    method: asked.method ?? 'GET',
    target: asked.target ?? '/',
    protocol: 'HTTP/1.1',
    address: '192.0.2.7',
    requestId: 'id',
    headers: [['Host', 'shop.example'], ...(asked.headers ?? [])],
  })
  transaction.requestBody(asked.body === undefined ? null : { ...emptyBody, ...asked.body })
  if (asked.answer !== undefined) {
    transaction.answerHead({ status: 200, protocol: 'HTTP/1.1', headers: [['Content-Type', 'text/html']] })
    transaction.answerBody(asked.answer)
  }
  return transaction.judgement
}

const rulesThat = (judgement: WafJudgement): string[] => judgement.matches.map(match => match.rule)

test('variables, selectors, exceptions and counts choose what a rule looks at', () => {
  const book = bookOf(`
    SecRule ARGS:a|ARGS_NAMES "@streq x" "id:1,phase:1,pass,msg:'a'"
    SecRule ARGS|!ARGS:skip|!ARGS:/^no_/ "@contains evil" "id:2,phase:1,pass,msg:'b'"
    SecRule &ARGS "@gt 2" "id:3,phase:1,pass,msg:'c'"
    SecRule REQUEST_HEADERS:/^x-/ "@rx ^1$" "id:4,phase:1,pass,msg:'d'"
    SecRule REQUEST_COOKIES:sid "@streq s1" "id:5,phase:1,pass,msg:'e'"
    SecRule &REQUEST_HEADERS:Accept "@eq 0" "id:6,phase:1,pass,msg:'f'"
    SecRule REQUEST_BASENAME "@endsWith .php" "id:7,phase:1,pass,msg:'g'"
    SecRule QUERY_STRING "@contains %2e" "id:8,phase:1,pass,msg:'h'"`)
  assert.deepEqual(rulesThat(judge(book, { target: '/?a=x' })), ['1', '6'])
  assert.deepEqual(
    rulesThat(judge(book, { target: '/?skip=evil&no_1=evil', headers: [['Accept', '*/*']] })),
    [],
  )
  assert.deepEqual(rulesThat(judge(book, { target: '/?q=evil&b=1&c=2' })), ['2', '3', '6'])
  const headers: WafField[] = [
    ['X-Forwarded', '1'],
    ['Cookie', 'theme=dark; SID=s1'],
  ]
  assert.deepEqual(rulesThat(judge(book, { target: '/a/b.php?d=%2e', headers })), ['4', '5', '6', '7', '8'])
})

test('a chain holds only when all of its rules do, in one request', () => {
  const book = bookOf(`
    SecRule REQUEST_METHOD "@streq POST" "id:1,phase:2,deny,status:409,msg:'both',chain"
      SecRule ARGS:a "@rx ^(.)(.)$" "capture,chain"
        SecRule TX:2 "@streq %{tx.1}" "setvar:tx.seen=1"
    SecRule TX:seen "@eq 1" "id:2,phase:2,pass,msg:'seen'"`)
  assert.deepEqual(rulesThat(judge(book, { target: '/?a=xx' })), [])
  assert.deepEqual(rulesThat(judge(book, { target: '/?a=xy', method: 'POST' })), [])
  const both = judge(book, { target: '/?a=xx', method: 'POST' })
  assert.deepEqual(rulesThat(both), ['1', '2'])
  assert.deepEqual(both.refused, { rule: '1', message: 'both', status: 409 })
})

test('skipAfter passes over rules up to its marker, in its phase', () => {
  const book = bookOf(`
    SecRule ARGS:level "@lt 2" "id:1,phase:1,pass,nolog,skipAfter:END"
    SecRule ARGS:level "@unconditionalMatch" "id:2,phase:1,pass,msg:'two'"
    SecRule ARGS:level "@unconditionalMatch" "id:3,phase:2,pass,msg:'three'"
    SecMarker END
    SecRule ARGS:level "@unconditionalMatch" "id:4,phase:1,pass,msg:'four'"`)
  assert.deepEqual(rulesThat(judge(book, { target: '/?level=1' })), ['4', '3'])
  assert.deepEqual(rulesThat(judge(book, { target: '/?level=2' })), ['2', '4', '3'])
})

test('scores add up for each match and refuse at the threshold, which rules can not move', () => {
  const book = bookOf(`
    SecAction "id:1,phase:1,nolog,pass,setvar:tx.inbound_anomaly_score_threshold=999,setvar:tx.paranoia_level=4"
    SecRule ARGS "@contains bad" "id:2,phase:2,block,msg:'bad',setvar:'tx.inbound_anomaly_score_pl1=+%{tx.points}'"
    SecRule TX:paranoia_level "@ge 4" "id:3,phase:2,deny,msg:'moved'"
    SecAction "id:4,phase:1,nolog,pass,setvar:tx.points=3"`)
  const one = judge(book, { target: '/?a=bad' })
  assert.equal(one.refused, null)
  assert.equal(one.inboundScore, 3)
  const two = judge(book, { target: '/?a=bad&b=bad' })
  assert.equal(two.inboundScore, 6)
  assert.equal(two.refused?.rule, 'inbound-score')
})

test('transformations run in order; multiMatch looks between them', () => {
  const book = bookOf(`
    SecRule ARGS:a "@streq ab" "id:1,phase:1,pass,t:none,t:urlDecode,t:lowercase,msg:'end'"
    SecRule ARGS:a "@streq A%42" "id:2,phase:1,pass,t:none,t:urlDecode,t:lowercase,multiMatch,msg:'between'"
    SecRule ARGS:a "@streq ab" "id:3,phase:1,pass,t:lowercase,t:none,msg:'none'"`)
  assert.deepEqual(rulesThat(judge(book, { target: '/?a=A%2542' })), ['1', '2'])
})

test('ctl takes rules and variables out for this request only', () => {
  const book = bookOf(`
    SecRule REQUEST_FILENAME "@streq /a" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=10-11"
    SecRule REQUEST_FILENAME "@streq /b" "id:2,phase:1,pass,nolog,ctl:ruleRemoveByTag=text"
    SecRule REQUEST_FILENAME "@streq /c" "id:3,phase:1,pass,nolog,ctl:ruleRemoveTargetById=10;ARGS:free"
    SecRule REQUEST_FILENAME "@streq /d" "id:4,phase:1,pass,nolog,ctl:ruleEngine=Off"
    SecRule ARGS "@contains x" "id:10,phase:2,pass,tag:'text',msg:'ten'"
    SecRule ARGS "@contains x" "id:12,phase:2,pass,msg:'twelve'"`)
  assert.deepEqual(rulesThat(judge(book, { target: '/a?free=x' })), ['12'])
  assert.deepEqual(rulesThat(judge(book, { target: '/b?free=x' })), ['12'])
  assert.deepEqual(rulesThat(judge(book, { target: '/c?free=x' })), ['12'])
  assert.deepEqual(rulesThat(judge(book, { target: '/c?other=x' })), ['10', '12'])
  assert.deepEqual(rulesThat(judge(book, { target: '/d?free=x' })), [])
  assert.deepEqual(rulesThat(judge(book, { target: '/e?free=x' })), ['10', '12'])
})

test('what a policy excludes is gone: rules, ranges, tags, single variables; so do directives', () => {
  const text = `
    SecRule ARGS "@contains x" "id:10,phase:2,pass,tag:'t1',msg:'ten'"
    SecRule ARGS "@contains x" "id:20,phase:2,pass,tag:'t2',msg:'twenty'"
    SecRule ARGS "@contains x" "id:30,phase:2,pass,msg:'thirty'"`
  const rules = (exclude: readonly string[], more = '', target = '/?bio=x'): string[] =>
    rulesThat(judge(bookOf(text + more, { exclude }), { target }))
  assert.deepEqual(rules([]), ['10', '20', '30'])
  assert.deepEqual(rules(['10-20']), ['30'])
  assert.deepEqual(rules(['tag:t2', '30']), ['10'])
  assert.deepEqual(rules(['10;ARGS:bio']), ['20', '30'])
  assert.deepEqual(rules(['10;ARGS:bio'], '', '/?name=x'), ['10', '20', '30'])
  assert.deepEqual(rules([], '\nSecRuleRemoveById 10 30'), ['20'])
  assert.deepEqual(rules([], '\nSecRuleRemoveByTag t1'), ['20', '30'])
  assert.deepEqual(rules([], '\nSecRuleUpdateTargetById 20 "!ARGS:bio"'), ['10', '30'])
  assert.deepEqual(rules([], '\nSecRuleUpdateTargetByTag t1 "!ARGS"'), ['20', '30'])
})

test('bodies are seen by their parts: arguments, files, part headers, XML', () => {
  const book = bookOf(`
    SecRule REQBODY_PROCESSOR "@streq MULTIPART" "id:1,phase:2,pass,msg:'kind'"
    SecRule FILES "@endsWith .php" "id:2,phase:2,pass,msg:'file'"
    SecRule MULTIPART_PART_HEADERS "@contains utf-7" "id:3,phase:2,pass,msg:'part'"
    SecRule XML:/* "@contains evil" "id:4,phase:2,pass,msg:'text'"
    SecRule XML://@* "@contains evil" "id:5,phase:2,pass,msg:'attribute'"
    SecRule ARGS:json.a.b "@streq 1" "id:6,phase:2,pass,msg:'json'"
    SecRule FILES_COMBINED_SIZE "@gt 10" "id:7,phase:2,pass,msg:'size'"`)
  const multipart: Partial<WafBody> = {
    processor: 'MULTIPART',
    files: [{ field: 'f', name: 'x.php', bytes: 11 }],
    partHeaders: [['f', 'Content-Type: text/plain; charset=utf-7']],
  }
  assert.deepEqual(rulesThat(judge(book, { body: multipart })), ['1', '2', '3', '7'])
  assert.deepEqual(rulesThat(judge(book, { body: { processor: 'XML', xmlTexts: ['evil'] } })), ['4'])
  assert.deepEqual(rulesThat(judge(book, { body: { processor: 'XML', xmlAttributes: ['evil'] } })), ['5'])
  assert.deepEqual(rulesThat(judge(book, { body: { processor: 'JSON', args: [['json.a.b', '1']] } })), ['6'])
  assert.equal(judge(book, { body: { processor: 'JSON', error: 'broken' } }).refused?.status, 400)
})

test('answers are looked at in phases 3 and 4', () => {
  const book = bookOf(`
    SecRule RESPONSE_STATUS "@streq 200" "id:1,phase:3,pass,msg:'status'"
    SecRule RESPONSE_BODY "@contains ORA-01756" "id:2,phase:4,block,msg:'leak',setvar:tx.outbound_anomaly_score_pl1=+4"`)
  const judgement = judge(book, { answer: 'x ORA-01756 y' })
  assert.deepEqual(rulesThat(judgement), ['1', '2'])
  assert.equal(judgement.outboundScore, 4)
  assert.equal(judgement.refused?.rule, 'outbound-score')
  assert.equal(book.open().wantsAnswerBody('text/html'), true)
  assert.equal(book.open().wantsAnswerBody('image/png'), false)
})

test('operators: each says yes and no', () => {
  const cases: readonly (readonly [operator: string, yes: string, no: string])[] = [
    ['@beginsWith ab', 'abc', 'xab'],
    ['@contains b', 'abc', 'xyz'],
    ['@containsWord b', 'a b c', 'abc'],
    ['@endsWith bc', 'abc', 'bcd'],
    ['@streq abc', 'abc', 'abcd'],
    ['@within abc,def', 'def', 'x'],
    ['@eq 5', '5', '6'],
    ['@ge 5', '5', '4'],
    ['@gt 5', '6', '5'],
    ['@le 5', '5', '6'],
    ['@lt 5', '4', '5'],
    ['@pm alpha |42|eta', 'xxBETAxx', 'gamma'],
    ['@pmFromFile words.data', 'the BETA GAMMA x', 'beta-gamma'],
    ['@ipMatch 192.0.2.0/24,2001:db8::/32', '2001:db8::1', '198.51.100.1'],
    ['@validateByteRange 32-126', 'a\x80', 'abc'],
    ['@validateUrlEncoding', '%zz', '%41'],
    ['@validateUtf8Encoding', '\xc0\xaf', '\xc3\xa4'],
    ['@detectSQLi', "1' or '1'='1", 'hello'],
    ['@detectXSS', '<script>', 'hello'],
    ['@rx ^a+$', 'aaa', 'ab'],
    ['^a+$', 'aaa', 'ab'],
    ['!@streq abc', 'x', 'abc'],
  ]
  for (const [operator, yes, no] of cases) {
    const book = bookOf(`SecRule REQUEST_HEADERS:X-Value "${operator}" "id:1,phase:1,pass,msg:'m'"`)
    const says = (value: string): number => judge(book, { headers: [['X-Value', value]] }).matches.length
    assert.deepEqual([says(yes), says(no)], [1, 0], operator)
  }
  const never = bookOf('SecRule REMOTE_ADDR "@geoLookup" "id:1,phase:1,deny"')
  assert.equal(judge(never).refused, null)
})

test('a pattern may hold what the request says, and stays a pattern', () => {
  const book = bookOf(`
    SecAction "id:1,phase:1,nolog,pass,setvar:'tx.allowed=a|b'"
    SecRule ARGS:x "!@rx ^(?:%{tx.allowed})$" "id:2,phase:1,deny,msg:'not allowed'"`)
  assert.equal(judge(book, { target: '/?x=a' }).refused, null)
  assert.equal(judge(book, { target: '/?x=c' }).refused?.rule, '2')
})

test('excerpts are short, printable, and never of what may be a secret', () => {
  const book = bookOf(
    `SecRule ARGS|REQUEST_COOKIES|REQUEST_HEADERS "@contains evil" "id:1,phase:1,pass,msg:'m'"`,
  )
  const [q] = judge(book, { target: `/?q=evil%0a%ff${'x'.repeat(99)}` }).matches
  assert.equal(q?.variable, 'ARGS:q')
  assert.equal(q?.excerpt, `evil\\x0a\\xff${'x'.repeat(26)}`)
  for (const asked of [
    { target: '/?password=evil' },
    { headers: [['Cookie', 'sid=evil']] },
    { headers: [['Authorization', 'Bearer evil']] },
  ] as Asked[]) {
    assert.ok(judge(book, asked).matches.every(match => match.excerpt === ''))
  }
})

test('more arguments or work than allowed is no pass: it is said', () => {
  const book = bookOf(`SecRule ARGS "@rx (a+)+$" "id:1,phase:2,deny,msg:'m'"`, { workMax: 5000 })
  assert.equal(judge(book, { target: '/?a=b' }).exhausted, false)
  assert.equal(judge(book, { target: `/?a=${'x'.repeat(200)}${'a'.repeat(9000)}b` }).exhausted, true)
  const many = Array.from({ length: 4097 }, (_, index) => [`k${index}`, 'v'] as const)
  assert.equal(judge(bookOf(''), { body: { processor: 'URLENCODED', args: many } }).exhausted, true)
})

test('what is not understood is refused with its file and line', () => {
  const bad: readonly (readonly [text: string, says: RegExp])[] = [
    ['\nSecRule ARGS "@fuzzyHash x" "id:1"', /^test\.conf:2: .*fuzzyHash/],
    ['SecRule NOPE "@rx x" "id:1"', /NOPE/],
    ['SecRule ARGS "@rx (" "id:1"', /pattern/],
    ['SecRule ARGS "@rx x" "id:1,t:rot13"', /rot13/],
    ['SecRule ARGS "@rx x" "id:1,exec:/bin/sh"', /exec/],
    ['SecRule ARGS "@rx x" "id:1,ctl:nope=1"', /nope/],
    ['SecRule ARGS "@rx x" "phase:1"', /id/],
    ['SecRule ARGS "@rx x" "id:1,phase:9"', /phase/],
    ['SecRule ARGS "@rx x" "id:1,chain"', /chain/],
    ['SecRuleScript x.lua', /SecRuleScript/],
    ['SecRule ARGS "@rx x', /no end/],
    ['SecRule ARGS "@ipMatch nonsense" "id:1"', /nonsense/],
    ['SecRule ARGS "@validateByteRange 9-300" "id:1"', /300/],
  ]
  for (const [text, says] of bad) {
    assert.throws(
      () => bookOf(text),
      (error: Error) => error instanceof RuleSyntaxError && says.test(error.message),
      text,
    )
  }
})
