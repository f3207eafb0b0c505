// Golden pairs: each golden/*.txt holds a system (JSON), `----`, and what checking it answers: problems and warnings as
// people read them, and the keys of the checked system that the case is about. `UPDATE_GOLDEN=1` rewrites the answers.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSystem } from './check.ts'
import { isObject, type Json, valueAt } from './plain.ts'
import { renderProblems } from './problems.ts'
import type { Problem } from './results.ts'

const folder = join(import.meta.dirname, 'golden')
const cases = readdirSync(folder).filter(name => name.endsWith('.txt'))

test('there are enough golden pairs to mean something', () => {
  assert.ok(cases.length >= 40, `only ${cases.length} golden pairs`)
})

for (const name of cases)
  test(`golden: ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
    const path = join(folder, name)
    const [head = '', expected = ''] = readFileSync(path, 'utf8').split(/^----\n/m)
    const answered = answer(head)
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, `${head}----\n${answered}`)
    else assert.equal(answered, expected)
  })

/** Lines of a head: `# comment`, `env NAME`, `show KEY.PATH` (also `show`, for everything), then the system. */
function answer(head: string): string {
  const lines = head.split('\n')
  const directive = (word: string): string[] =>
    lines
      .filter(line => line === word || line.startsWith(`${word} `))
      .map(line => line.slice(word.length + 1))
  const json = lines.filter(line => !/^(#|env |show( |$))/.test(line)).join('\n')
  const result = checkSystem(JSON.parse(json), { environment: directive('env')[0] ?? null })
  const parts = result.ok
    ? ['ok', ...directive('show').map(path => shown(path, result.system as unknown as Json))]
    : [renderProblems('system.json', result.problems), codesOf(result.problems)]
  if (result.warnings.length > 0)
    parts.push(renderProblems('system.json', result.warnings, 'warning'), codesOf(result.warnings))
  return `${parts.join('\n\n')}\n`
}

const codesOf = (problems: readonly Problem[]): string => `codes: ${problems.map(one => one.code).join(' ')}`

function shown(path: string, system: Json): string {
  const value = path === '' ? system : valueAt(system, path.split('.'))
  assert.ok(value !== undefined, `the checked system has nothing at '${path}'`)
  return `${path} = ${JSON.stringify(value, null, isObject(value) || Array.isArray(value) ? 2 : 0)}`
}
