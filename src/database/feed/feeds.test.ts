import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Invalidation } from './contract.ts'
import { thenEdges } from './feeds.ts'

const change: Invalidation = {
  database: 'main',
  lsn: 1,
  timeline: 1,
  everything: false,
  tags: ['film:1'],
  urls: [],
  keys: [],
  tables: ['public.films'],
}

test('edges are told once more when the caches behind them have heard; whether they answer is not those caches’ matter', async () => {
  const told: string[] = []
  const edges = {
    name: 'edges',
    sink: async (one: Invalidation): Promise<void> => {
      told.push(`edges ${one.tags}`)
      throw new Error('no edge answers')
    },
  }
  const services = async (one: Invalidation): Promise<void> => {
    await new Promise(resolve => setImmediate(resolve))
    told.push(`services ${one.tags}`)
  }
  await thenEdges(services, [edges])(change)
  assert.deepEqual(told, ['services film:1', 'edges film:1'])
})

test('edges are not told where the caches behind them were not', async () => {
  let told = 0
  const edges = { name: 'edges', sink: async (): Promise<void> => void told++ }
  const away = async (): Promise<void> => Promise.reject(new Error('away'))
  await assert.rejects(thenEdges(away, [edges])(change), /away/)
  assert.equal(told, 0)
})
