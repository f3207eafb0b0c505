// The guard's metrics, read from the tally of the edge's main thread when somebody asks.

import type { Metrics, Sample } from '../kit/metrics.ts'
import type { MainTally } from './main-composition.ts'

export function registerGuardMetrics(metrics: Metrics, read: () => MainTally | null): void {
  const pull = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    labels: readonly string[],
    samples: (tally: MainTally) => Iterable<Sample>,
  ): void =>
    metrics.pull(kind, { name, help, labels }, () => {
      const tally = read()
      return tally === null ? [] : samples(tally)
    })
  pull(
    'counter',
    'guard_requests_total',
    'Requests of guarded routes by policy and what became of them; policy (edge): bans, and the guard’s own pages.',
    ['policy', 'verdict'],
    ({ counts }) =>
      [...counts.policies].flatMap(([name, tally]) =>
        Object.entries(tally).map(([verdict, value]) => ({
          labels: { policy: name === '' ? '(edge)' : name, verdict },
          value,
        })),
      ),
  )
  pull(
    'counter',
    'guard_findings_total',
    'What steps found, by step and rule: refused, or only detected.',
    ['step', 'rule', 'outcome'],
    ({ counts }) =>
      [...counts.rules.values()].flatMap(({ step, rule, refused, detected }) => [
        { labels: { step, rule, outcome: 'refused' }, value: refused },
        { labels: { step, rule, outcome: 'detected' }, value: detected },
      ]),
  )
  pull(
    'counter',
    'guard_connections_closed_total',
    'Connections closed when they were accepted, by reason.',
    ['reason'],
    ({ counts }) => [
      { labels: { reason: 'banned' }, value: counts.closedBanned },
      { labels: { reason: 'too-many' }, value: counts.closedTooMany },
    ],
  )
  pull('gauge', 'guard_bans', 'Bans by rules that are in force.', [], ({ bans }) => [{ value: bans() }])
  pull('counter', 'guard_audit_lines_total', 'Lines of the audit log.', ['outcome'], ({ audit }) => [
    { labels: { outcome: 'written' }, value: audit().written },
    { labels: { outcome: 'sampled-out' }, value: audit().sampledOut },
    { labels: { outcome: 'dropped' }, value: audit().dropped },
  ])
  pull(
    'counter',
    'guard_messages_dropped_total',
    'Messages of workers to the main thread that did not fit.',
    [],
    ({ counts }) => [{ value: counts.dropped }],
  )
}
