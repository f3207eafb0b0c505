// The pages about the guard say what is so: each system file on them passes the check, each command line on them is one
// that the parser takes, and each page that is linked is there.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { checkSystem, renderProblems, secret } from '../../src/file/index.ts'

type Part = Record<string, unknown>

const folder = join(import.meta.dirname, '../../docs/operate')
const read = (page: string): string => readFileSync(join(folder, page), 'utf8')

/** The guard's page, and those beside it that it links. */
const pages: readonly string[] = [
  'guard.md',
  ...new Set([...read('guard.md').matchAll(/\]\(([a-z-]+\.md)[^)]*\)/g)].map(found => found[1] as string)),
]

function blocksOf(page: string, language: string): string[] {
  const blocks: string[] = []
  let block: string[] | null = null
  for (const line of read(page).split('\n')) {
    const fence = /^ *```(\w*)$/.exec(line)
    if (fence === null) block?.push(line)
    else if (block === null) block = fence[1] === language ? [] : null
    else {
      blocks.push(block.join('\n'))
      block = null
    }
  }
  return blocks
}

/** Properties of a system file as an object; null: the block is other code. */
function propertiesOf(block: string): Part | null {
  if (!/^\s*(guard|policies|edge|services|name):/.test(block)) return null
  // "..." stands for what else there is.
  const text = block
    .replace(/,\s*\.\.\.\s*}/g, ' }')
    .trim()
    .replace(/,$/, '')
  return new Function('secret', `return ({ ${text} })`)(secret) as Part
}

/** What a page leaves out, because it is about something else: services, routes, where identities come from. */
function completed(properties: Part): Part {
  const { policies, guard: said, edge: saidEdge, ...others } = properties
  const guard = (said ?? { policies }) as Part
  const named = Object.keys((guard.policies ??= { pages: { limit: '50/s' } }) as Part)
  const given = ((saidEdge ?? {}) as Part).routes as Part[] | undefined
  const routes = given ?? named.map(name => ({ path: `/${name}/*`, to: 'web', guard: name }))
  const identity = { account: 'header:x-account', session: 'cookie:sid', key: 'header:x-api-key' }
  return {
    name: 'shop',
    services: Object.fromEntries(routes.map(({ to }) => [to, { command: 'node web.mjs' }])),
    ...others,
    guard: { identity, ...guard },
    edge: { ...(saidEdge as Part), routes: routes.map(route => ({ host: 'shop.example', ...route })) },
  }
}

test('every system file on the pages about the guard passes the check without a problem', () => {
  let checked = 0
  for (const page of pages)
    for (const block of blocksOf(page, 'ts')) {
      const properties = propertiesOf(block)
      if (properties === null) continue
      const result = checkSystem(completed(properties))
      assert.ok(result.ok, result.ok ? '' : `${page}:\n${block}\n${renderProblems(page, result.problems)}`)
      checked++
    }
  assert.ok(checked >= 8, `${checked} files`)
})

test('every command line on the pages about the guard names a command, an action and options that there are', () => {
  let lines = 0
  for (const page of pages)
    for (const [, name = '', rest = ''] of read(page).matchAll(/(?:^|`|\$ )tenfold ([a-z]+)([^`\n#]*)/gm)) {
      const command = commands.find(one => one.name === name)
      assert.ok(command, `${page}: tenfold ${name}`)
      const [first] = command.arguments ?? []
      const action = /^ ([a-z-]+)/.exec(rest)?.[1]
      if (action !== undefined && first?.choices !== undefined)
        assert.ok(first.choices.includes(action), `${page}: tenfold ${name} ${action}`)
      for (const [option] of rest.matchAll(/--[a-z-]+/g))
        assert.ok(
          option === '--json' || command.options?.some(({ flags }) => flags.split(/[ ,]+/).includes(option)),
          `${page}: tenfold ${name} ${option}`,
        )
      lines++
    }
  assert.ok(lines >= 10, `${lines} lines`)
})

test('every page and folder that the pages about the guard link is there', () => {
  for (const page of pages)
    for (const [, target = ''] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(join(folder, target)), `${page}: ${target}`)
})
