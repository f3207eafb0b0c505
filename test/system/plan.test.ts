// `tenfold plan` as a process; and docs/operate/plan.md, whose outputs are the program's. TENFOLD_REWRITE_GOLDEN=1 writes
// them anew: read the difference before you commit it.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { project } from '../tools/project.ts'

const page = new URL('../../docs/operate/plan.md', import.meta.url)
const small = { name: 'shop', services: { web: { command: 'node web.mjs' } } }

test('the page of the manual shows what the program prints', async t => {
  const folder = project(t)
  const text = readFileSync(page, 'utf8')
  let shown = 0
  let made = ''
  let from = 0
  for (const block of text.matchAll(/^```(ts|text)\n([\s\S]*?)^```$/gm)) {
    const [whole, kind, body = ''] = block
    made += text.slice(from, block.index)
    from = block.index + whole.length
    if (kind === 'ts') folder.write('tenfold.config.mjs', `const defineSystem = one => one\n${body}`)
    const line = /^\$ tenfold (.*)\n/.exec(body)?.[1]
    if (kind === 'ts' || line === undefined) {
      made += whole
      continue
    }
    const ran = await folder.run(...line.split(' '))
    assert.equal(ran.code, 0, ran.error)
    made += `\`\`\`text\n$ tenfold ${line}\n${ran.out.trimEnd()}\n\`\`\``
    shown++
  }
  made += text.slice(from)
  assert.ok(shown >= 6)
  if (process.env.TENFOLD_REWRITE_GOLDEN === '1') writeFileSync(page, made)
  else assert.equal(text, made)
})

test('JSON is exact, and --explain gives one figure, a section or all', async t => {
  const shop = project(t)
  shop.configure({ ...small, workload: { reads: { rate: '864/d' } } })
  const all = await shop.run('plan', '--json')
  assert.equal(all.code, 0, all.error)
  const plan = JSON.parse(all.out)
  const peak = plan.quantities.find((one: { id: string }) => one.id === 'load.peak')
  assert.equal(peak.value, 0.03)
  assert.equal(peak.formula, 'mean * peak_factor')
  const one = JSON.parse((await shop.run('plan', '--json', '--explain', 'load.peak')).out)
  assert.deepEqual(one.quantities, [peak])
  const section = JSON.parse((await shop.run('plan', '--explain', 'cost', '--json')).out)
  assert.ok(section.quantities.length > 2)
  assert.match((await shop.run('plan', '--explain')).out, /^ {2}load\.peak +0\.03\/s +Peak rate$/m)
  assert.match((await shop.run('plan', '--times', '10')).out, /10 x today's load/)
})

test('what is wrong is said in a sentence, with exit code 2', async t => {
  const shop = project(t)
  shop.configure(small)
  const without = await shop.run('plan')
  assert.equal(without.code, 2)
  assert.match(without.error, /workload is not there.*workload: \{ dailyUsers.*CLI_WORKLOAD_MISSING/s)

  shop.configure({ ...small, workload: { reads: { rate: '10/s' } } })
  shop.write('bad.json', '{ "date": "2026-11-01", "currency": "USD", "prices": { "vcpuHour": -1 } }')
  shop.write('torn.json', '{ "date": ')
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--explain', 'load.pek'], /no figure 'load\.pek'.*CLI_FIGURE_UNKNOWN/s],
    [['--times', '0'], /--times is 0.*above 0.*CLI_OPTION_INVALID/s],
    [['--times', 'many'], /--times many is no number.*CLI_OPTION_INVALID/s],
    [['--growth-years', '99'], /--growth-years is 99.*CLI_OPTION_INVALID/s],
    [['--prices', 'none.json'], /can't be read.*CLI_PRICES_INVALID/s],
    [['--prices', 'torn.json'], /is no JSON.*CLI_PRICES_INVALID/s],
    [['--prices', 'bad.json'], /prices\.vcpuHour = -1.*CLI_PRICES_INVALID/s],
  ]
  for (const [args, sentence] of wrong) {
    const ran = await shop.run('plan', ...args)
    assert.equal(ran.code, 2, args.join(' '))
    assert.match(ran.error, sentence)
  }
})

test('an unstable part is named, with its key, and the page has no mean', async t => {
  const shop = project(t)
  shop.configure({ ...small, workload: { reads: { rate: '1000/s' }, services: { web: { time: '10ms' } } } })
  const { code, out } = await shop.run('plan')
  assert.equal(code, 0)
  assert.match(
    out,
    /unstable: at 0\.533 x this peak all 16 instances of web are busy; .* no mean {2}services\.web\.instances\.max/,
  )
  assert.match(out, /for an answer, in the mean at the peak: none/)
})
