// A ticket shop: pages by `web`; films, seats and orders by `api`, which keeps them in the database `main`; one showing that
// everybody wants, and signing in for it, by `premiere`. `npm start` in the project's folder runs this file.

import { defineSystem, type RehearsalInput, type WorkloadInput } from 'tenfold'

const port = Number(process.env.BOXOFFICE_PORT ?? 8080)
// 'off': nothing is kept anywhere, to see what that costs.
// Shards tell caches nothing yet, so with them nothing is kept.
const caching = process.env.BOXOFFICE_CACHE !== 'off' && !process.env.BOXOFFICE_SHARDS
// Such as redis://127.0.0.1:6379: name and email of who bought are remembered there.
const redis = process.env.BOXOFFICE_REDIS
// How many shards: films, with their screenings, seats and orders, are spread over so many groups of servers. Left out: one.
const shards = Number(process.env.BOXOFFICE_SHARDS ?? 0)
// 'off': everybody passes, to see what that costs: drop/README.md.
const guarding = process.env.BOXOFFICE_GUARD !== 'off'
// Such as 2026-12-01T18:00:00Z: who is there before is drawn by lot. Left out: first come, first served, from now on.
const opens = process.env.BOXOFFICE_PREMIERE_OPENS
const premiereSeats = Number(process.env.BOXOFFICE_PREMIERE_SEATS ?? 500)
const seatsEach = 2
const admitPerMinute = Number(process.env.BOXOFFICE_PREMIERE_ADMIT ?? 600)
// The first is for a clone of the project alone: see there.
const node = ['node', '--import', './tenfold-source.mjs']

/** What is asked of who wants a route. */
const guarded = (policy: string) => (guarding ? { guard: policy } : {})
const page = { to: 'web', compress: true, ...guarded('pages') }

/** Every way to a seat of the premiere. */
const sale = {
  limit: [
    { name: 'address', rate: '240/min', by: 'ip', banAfter: 60 },
    { name: 'buyer', rate: '60/min', by: 'account' },
  ],
  sameSite: true,
  // Less is asked of people who look at films.
  risk: { challenge: 40 },
  challenge: 'suspicious',
  waf: 'detect',
  headers: 'basic',
  room: 'premiere',
} as const

const guard = {
  // What `premiere` signs when somebody signs in is verified here, by keys that it publishes. An account is its `sub`.
  identity: {
    jwt: {
      shop: {
        issuer: 'https://boxoffice.example',
        audience: 'boxoffice',
        algorithms: ['EdDSA'],
        keys: `http://127.0.0.1:${port}/sign-in/keys`,
        from: 'cookie:boxoffice',
      },
    },
    account: 'jwt:sub',
  },
  bots: { dataCentres: { files: ['data-centres.txt'] } },
  policies: {
    // Who looks around meets nothing of this: far more than people click, rules that only record, fields that browsers heed.
    pages: { limit: '60/s', waf: 'detect', headers: 'basic' },
    api: { waf: 'detect' },
    // Seats of every film, by form or JSON. `web` orders at `api` for its visitors, and says for whom: `trustedProxies`.
    buying: { limit: { rate: '60/min', by: 'ip' }, waf: 'detect', headers: 'basic' },
    'order-form': {
      limit: { rate: '60/min', by: 'ip' },
      sameSite: true,
      challenge: 'suspicious',
      waf: 'detect',
      headers: 'basic',
    },
    // An address may stand for a household or an office, not for a farm of accounts.
    'sign-in': {
      limit: { rate: '10/h', by: 'ip' },
      sameSite: true,
      challenge: 'suspicious',
      headers: 'basic',
    },
    // Who is not signed in comes as far as the room, whose page leads to the sign-in. A made-up cookie is no way in.
    'premiere-form': { ...sale, require: { any: 'jwt:shop', optional: true } },
    'premiere-orders': { ...sale, require: 'jwt:shop', quota: 'premiere' },
    tickets: {
      limit: '60/s',
      require: { any: 'jwt:shop', optional: true },
      sameSite: true,
      headers: 'basic',
    },
  },
  rooms: {
    premiere: {
      title: 'The last reel',
      admit: `${admitPerMinute}/min`,
      active: 200,
      person: 'account',
      signIn: '/sign-in',
      revokeAfter: ['POST /premiere/orders'],
      order: opens ? 'lottery' : 'first-come',
      ...(opens && { opens }),
    },
  },
  quotas: {
    // What a family behind one address buys, and no more than that.
    premiere: {
      keys: [
        { by: 'account', amount: seatsEach },
        { by: 'ip', amount: 4 * seatsEach },
      ],
      quantity: 'seats',
      stock: premiereSeats,
    },
  },
} as const

/** Everything of a film's showings is on one shard: that no seat is sold twice is a primary key there. */
const spread = {
  films: 'everywhere',
  screenings: { by: 'film', type: 'text' },
  orders: { by: 'film', with: 'screenings' },
  sold_seats: { by: 'film', with: 'screenings' },
  migrations: { on: 1 },
  premiere_orders: { on: 1 },
  premiere_seats: { on: 1 },
  sign_in_keys: { on: 1 },
} as const

const screening = '/films/titanic-1997/screenings/1'

/** A good day of the shop: what `tenfold plan` and `tenfold simulate` go by. Times are guesses until `tenfold calibrate`. */
const workload: WorkloadInput = {
  dailyUsers: 400_000,
  reads: { perUser: 12, path: '/films/titanic-1997', response: '16KB', objects: 3_200, popularity: 0.9 },
  writes: { perUser: 0.3, path: `${screening}/orders`, response: '4KB', stored: 700 },
  actions: {
    list: { perUser: 4, path: '/', response: '30KB', objects: 500 },
    seats: { perUser: 1, path: screening, response: '24KB' },
    assets: { perUser: 2, path: '/assets/style.css', response: '8KB' },
    // Who looks at what everybody wants.
    premiere: { perUser: 0.1, path: '/premiere', response: '6KB' },
  },
  peak: 4,
  growth: '30%',
  retention: '3y',
  services: {
    web: { time: '4ms', boot: '1.5s', memory: '120MB', calls: [{ service: 'api', times: 1.1 }] },
    api: {
      time: '2ms',
      boot: '2s',
      memory: '120MB',
      calls: [{ database: 'main', reads: 1.6, writes: 0.05 }],
    },
    premiere: {
      time: '3ms',
      boot: '2s',
      memory: '120MB',
      calls: [{ database: 'main', reads: 0.5, writes: 0.2 }],
    },
  },
  databases: { main: { read: '0.4ms', write: '1.2ms', apply: '0.3ms', cores: 2, size: '200GB' } },
  ...(caching && { caches: { edge: { entry: '18KB', ttl: '1h' } } }),
  network: { client: '25ms', inside: '0.1ms' },
  machine: { cores: 8, memory: '32GB', disk: '500GB', network: '1Gbit/s' },
  targets: { p99: '250ms', availability: '99.9%', utilisation: '60%' },
}

const rehearsals: Record<string, RehearsalInput> = {
  evening: {
    about: 'The busiest quarter of an hour of a good day.',
    duration: '5m',
    warmup: '30s',
    arrivals: 'peak',
    clients: { patience: '10s', retries: 1, backoff: '1s' },
    expect: { p99: '<250ms', errors: '<0.1%', 'web.utilisation': '<80%' },
  },
  failures: {
    about: 'The same evening, on which an instance and the primary die, and a crowd reads of a film.',
    duration: '6m',
    warmup: '30s',
    arrivals: {
      level: 'peak',
      shape: { flash: { at: '4m', times: 3, ramp: '10s', hold: '30s', fade: '30s' } },
    },
    clients: { patience: '10s', retries: 2, backoff: '1s' },
    faults: [
      { at: '1m', kill: 'api-1' },
      { at: '2m', kill: 'main' },
      ...(caching ? [{ at: '5m', empty: 'edge' } as const] : []),
    ],
    expect: { errors: '<5%', lostWrites: 0 },
  },
}

export default defineSystem({
  name: 'boxoffice',
  control: { listen: Number(process.env.BOXOFFICE_CONTROL ?? 9900) },
  edge: {
    // https on any free port, with a certificate of Tenfold's own making for localhost: `tenfold status` shows the address.
    listen: { http: port, https: 0 },
    accessLog: true,
    // `web`, which asks `api` through us for its visitors. (So who sits at this machine could say that he is another.)
    trustedProxies: ['127.0.0.1'],
    routes: [
      {
        path: '/api/films/:film/screenings/:screening/orders',
        to: 'api',
        rewrite: '/films/',
        ...guarded('buying'),
      },
      { path: '/api/*', to: 'api', rewrite: '/', ...guarded('api') },
      // Style sheet and script, straight from disk (and from memory, once somebody has asked): no instance is needed.
      { path: '/assets/*', files: 'public', compress: true },
      { path: '/films', redirect: '/' },
      { path: '/sign-in', methods: ['POST'], to: 'premiere', ...guarded('sign-in') },
      { path: '/sign-in/*', to: 'premiere', ...guarded('pages') },
      { path: '/premiere', to: 'premiere', compress: true, ...guarded('pages') },
      { path: '/premiere/orders/:order', methods: ['GET'], to: 'premiere', ...guarded('tickets') },
      { path: '/premiere/seats', methods: ['GET'], to: 'premiere', ...guarded('premiere-form') },
      // Whatever else it is: nothing of the sale has a way around the room.
      { path: '/premiere/*', to: 'premiere', ...guarded('premiere-orders') },
      // Pages that are the same for everybody are kept until a row that they are made of changes (`invalidate` below); `web`
      // says how long at most. While no instance answers, what was kept is shown for up to a day.
      {
        ...page,
        path: '/films/:film',
        cache: caching && { tags: ['film:{film}'], key: { query: 'none' }, staleIfError: '1d' },
      },
      {
        ...page,
        path: '/',
        cache: caching && {
          tags: ['films'],
          key: { query: { only: ['q', 'genre', 'sort', 'page'] } },
          staleIfError: '1d',
        },
      },
      {
        ...page,
        path: '/films/:film/screenings/:screening/orders',
        methods: ['POST'],
        ...guarded('order-form'),
      },
      // Seats, orders and tickets, never kept: they are somebody's, or change by the second.
      { ...page, path: '/*' },
    ],
  },
  services: {
    web: {
      command: [...node, 'web/server.mjs'],
      instances: { min: 3, max: 8 },
      health: { path: '/healthz' },
      balance: 'least-connections',
      env: { API_URL: `http://127.0.0.1:${port}/api` },
    },
    api: {
      command: [...node, 'api/server.mjs'],
      instances: { min: 2, max: 8 },
      health: { path: '/healthz' },
      // The first start makes the tables and fills them.
      ready: { timeout: '2m' },
      balance: 'two-choices',
      retry: { attempts: 2 },
      env: {
        BOXOFFICE_CACHE: caching ? 'on' : 'off',
        ...(shards > 0 && { BOXOFFICE_SHARDED: 'on' }),
      },
    },
    premiere: {
      command: [...node, 'premiere/server.mjs'],
      instances: { min: 1, max: 8 },
      health: { path: '/healthz' },
      ready: { timeout: '2m' },
      env: {
        PREMIERE_SEATS: String(premiereSeats),
        PREMIERE_EACH: String(seatsEach),
        ...(opens && { PREMIERE_OPENS: opens }),
        ...(shards > 0 && { BOXOFFICE_SHARDED: 'on' }),
      },
    },
  },
  databases: {
    // A primary and two replicas. An order that was acknowledged is on two disks; pages read from replicas, and never
    // something older than the last order that anybody was told of.
    main: {
      replicas: shards > 0 ? 0 : 2,
      durability: shards > 0 ? 'primary' : 'one-replica',
      reads: 'fresh',
      access: { api: 'owner', premiere: 'owner' },
      // Whoever changes a row, by SQL typed by hand too: the edge and every instance of `api` forget what was made of it.
      ...(shards === 0 && {
        invalidate: [
          { on: 'films', tags: ['film:{id}', 'films'] },
          { on: 'screenings', tags: ['film:{film}'] },
        ],
      }),
      ...(shards > 0 && { shards: { count: shards, tables: spread } }),
    },
  },
  workload,
  rehearsals,
  ...(guarding && { guard }),
  ...(redis && { caches: { main: { redis, access: ['web'] } } }),
})
