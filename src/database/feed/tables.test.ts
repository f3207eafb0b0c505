// Which tables can be followed and what must be altered, by looks as a server would give them. Real servers:
// test/database/feed.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rulesByTable } from './rules.ts'
import { planTables, publicationSql, type TableLook } from './tables.ts'

const rules = rulesByTable({
  database: 'main',
  rules: [{ on: 'films', tags: ['film:{id}'], urls: ['/films/{slug}'], keys: [] }],
  tables: ['shop.orders'],
})

function look(table: string, more: Partial<TableLook> = {}): TableLook {
  return {
    table,
    kind: 'r',
    persistence: 'p',
    columns: ['id', 'slug'],
    leaves: [{ name: table, identity: 'd', key: ['id'] }],
    ...more,
  }
}

test('tables whose rules need more than the key get the whole old row, on our own servers', () => {
  const plan = planTables(rules, [look('public.films'), look('shop.orders')], [], true)
  assert.deepEqual(plan.follow, ['public.films', 'shop.orders'])
  assert.deepEqual(plan.alter, ['ALTER TABLE public.films REPLICA IDENTITY FULL'])
  assert.deepEqual(plan.told, [])
  assert.equal(plan.changed, true)
})

test('on servers of others it is said what to run, and what is known until then', () => {
  const plan = planTables(rules, [look('public.films'), look('shop.orders')], ['shop.orders'], false)
  assert.deepEqual(plan.alter, [])
  assert.deepEqual(plan.told, [
    'of changed rows of public.films only the new values are known: run "ALTER TABLE public.films REPLICA IDENTITY FULL"',
  ])
})

test('a table without any key is not published on servers of others: its updates would be refused', () => {
  const keyless = look('public.films', { leaves: [{ name: 'public.films', identity: 'd', key: [] }] })
  const plan = planTables(rules, [keyless, look('shop.orders')], [], false)
  assert.deepEqual(plan.follow, ['shop.orders'])
  assert.match(plan.told[0] ?? '', /changes of public\.films are not followed: run/)
})

test('what is no table, is not there, or lacks a column is said', () => {
  const view = look('public.films', { kind: 'v' })
  assert.match(planTables(rules, [view], [], true).told[0] ?? '', /it is a view: name the tables/)
  const missing = planTables(rules, [look('public.films', { columns: ['id'] })], [], true)
  assert.deepEqual(missing.told, [
    "public.films has no column 'slug': rules that name it apply to no row",
    'changes of shop.orders are not followed: there is no table shop.orders; when it is made, it is followed',
  ])
  assert.deepEqual(missing.alter, [], 'the key has all that is needed')
  const unlogged = planTables(rules, [look('public.films', { persistence: 'u' })], [], true)
  assert.match(unlogged.told[0] ?? '', /UNLOGGED/)
})

test('a table with odd names is published under them', () => {
  assert.equal(
    publicationSql('feed', true, ['public.We"ird']),
    'ALTER PUBLICATION feed SET TABLE "public"."We""ird"',
  )
})
