// The text is read back by a small reader of the exposition format, so that escaping is checked both ways.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createHistograms } from './histogram.ts'
import { createMetrics } from './metrics.ts'

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
}

/** name, labels and value of each line that is no comment. */
function readBack(text: string): { name: string; labels: Record<string, string>; value: number }[] {
  const out: { name: string; labels: Record<string, string>; value: number }[] = []
  for (const line of text.split('\n').filter(one => one !== '' && !one.startsWith('#'))) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    assert.ok(match, `not a sample: ${line}`)
    const labels: Record<string, string> = {}
    for (const pair of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[pair[1]!] = unescaped(pair[2]!)
    out.push({ name: match[1]!, labels, value: Number(match[3]!.replace('Inf', 'Infinity')) })
  }
  return out
}

test('counters and gauges appear with their help, type, labels and value', () => {
  const metrics = createMetrics()
  const exits = metrics.counter({
    name: 'fleet_exits_total',
    help: 'Exits of instances.',
    labels: ['service'],
  })
  exits({ service: 'web' }).add()
  exits({ service: 'web' }).add(2)
  metrics.gauge({ name: 'fleet_instances', help: 'Instances that run.' })().set(4)
  assert.equal(
    metrics.text(),
    '# HELP fleet_exits_total Exits of instances.\n# TYPE fleet_exits_total counter\n' +
      'fleet_exits_total{service="web"} 3\n' +
      '# HELP fleet_instances Instances that run.\n# TYPE fleet_instances gauge\nfleet_instances 4\n',
  )
})

test('any label value comes back as it was, quotes, backslashes and line ends included', () => {
  const hostile = fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '{', '}', ',', '=', 'é', ' ') })
  fc.assert(
    fc.property(hostile, text => {
      const metrics = createMetrics()
      metrics
        .counter({ name: 'x_total', help: text, labels: ['route'] })({ route: text })
        .add(7)
      const [sample, ...rest] = readBack(metrics.text())
      assert.deepEqual(sample, { name: 'x_total', labels: { route: text }, value: 7 })
      assert.equal(rest.length, 0)
    }),
  )
})

test('a histogram has cumulative buckets that end in +Inf with the count, and a sum in the unit of its name', () => {
  const histograms = createHistograms(1)
  for (const us of [800, 3_000, 40_000, 2_000_000]) histograms.record(0, us)
  const metrics = createMetrics()
  metrics.pullHistogram(
    { name: 'edge_response_seconds', help: 'Time to respond.', bounds: [0.001, 0.01, 0.1, 1] },
    () => [{ labels: { route: '/' }, value: histograms.read([0]) }],
  )
  const samples = readBack(metrics.text())
  const buckets = samples.filter(one => one.name.endsWith('_bucket'))
  assert.deepEqual(
    buckets.map(one => [one.labels.le, one.value]),
    [
      ['0.001', 1],
      ['0.01', 2],
      ['0.1', 3],
      ['1', 3],
      ['+Inf', 4],
    ],
  )
  assert.equal(samples.find(one => one.name.endsWith('_count'))?.value, 4)
  assert.ok(Math.abs(samples.find(one => one.name.endsWith('_sum'))!.value - 2.0438) < 1e-9)
})

test('pulled values are read at each text', () => {
  let depth = 1
  const metrics = createMetrics()
  metrics.pull('gauge', { name: 'queue_depth', help: 'Items waiting.' }, () => [{ value: depth }])
  assert.match(metrics.text(), /queue_depth 1\n/)
  depth = 5
  assert.match(metrics.text(), /queue_depth 5\n/)
})

test('labels beyond the limit of series are counted together', () => {
  const metrics = createMetrics({ seriesMax: 3 })
  const hits = metrics.counter({ name: 'hits_total', help: 'Hits.', labels: ['path'] })
  for (let index = 0; index < 50; index++) hits({ path: `/${index}` }).add()
  const samples = readBack(metrics.text())
  assert.equal(samples.length, 3)
  assert.equal(
    samples.reduce((sum, one) => sum + one.value, 0),
    50,
  )
  assert.equal(samples.find(one => one.labels.path === 'other')?.value, 48)
})

test('a wrong name, a second declaration, missing labels and a falling counter are faults', () => {
  const metrics = createMetrics()
  const total = metrics.counter({ name: 'a_total', help: 'A.', labels: ['x'] })
  assert.throws(() => metrics.counter({ name: 'a_total', help: 'A.' }), /declared twice/)
  assert.throws(() => metrics.counter({ name: 'b', help: 'B.' }), /end in _total/)
  assert.throws(() => metrics.gauge({ name: 'c-d', help: 'C.' }), /refuses/)
  assert.throws(() => total({ y: '1' }), /takes the labels x/)
  assert.throws(() => total({ x: '1' }).add(-1), /never falls/)
})
