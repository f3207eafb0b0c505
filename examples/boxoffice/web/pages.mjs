// Every page of the shop, as functions from data to HTML. Works without JavaScript; the seat map gets live with it.

import { html } from './html.mjs'
import { poster } from './poster.mjs'

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })
const millions = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const longDay = new Intl.DateTimeFormat('en-GB', {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  timeZone: 'UTC',
})
const sortNames = {
  popular: 'Most popular',
  rating: 'Best rated',
  newest: 'Newest',
  oldest: 'Oldest',
  title: 'Title',
}

const money = cents => euros.format(cents / 100)
const dayOf = date => longDay.format(new Date(`${date}T12:00:00Z`))
const pathOf = film => `/films/${encodeURIComponent(film.id)}`

export function page({ title, body, instance, search = '', script = '' }) {
  return `<!doctype html>${html`
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Boxoffice</title><meta name="color-scheme" content="dark">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='8' fill='%23f2b84b'/%3E%3Cpath d='M6 12h20v3a2 2 0 0 0 0 4v3H6v-3a2 2 0 0 0 0-4z' fill='%23181320'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/assets/style.css">${script && html`<script type="module" src="/assets/seats.js"></script>`}</head>
<body><a class="skip" href="#main">Skip to the content</a>
<header class="bar"><a class="brand" href="/"><span aria-hidden="true">●</span> Boxoffice</a><a class="event" href="/premiere">The premiere</a>
<form class="find" action="/" role="search"><input type="search" name="q" placeholder="Title, director or year" aria-label="Search films" value="${search}"><button>Search</button></form></header>
<main id="main">${body}</main>
<footer>Film data: the <em>movies</em> set of vega-datasets. Tickets are imaginary. <span class="served">Page by ${instance}</span></footer>
</body></html>`}`
}

function linkTo(query, change) {
  const merged = Object.entries({ ...query, ...change }).filter(
    ([, value]) => value !== '' && value !== undefined,
  )
  return `/?${new URLSearchParams(merged)}`
}

function card(film) {
  return html`<li><a class="card" href="${pathOf(film)}">${poster(film)}
<span class="card-title">${film.title}</span>
<span class="card-facts">${film.year ?? 'Year unknown'}${film.rating && html` · <span class="star" aria-hidden="true">★</span> ${film.rating.toFixed(1)}`}</span></a></li>`
}

function filters(query, found) {
  return html`<form class="filters" action="/">
<input type="hidden" name="q" value="${query.q ?? ''}">
<label>Genre <select name="genre"><option value="">All genres</option>${found.genres.map(genre => html`<option${genre === query.genre ? html` selected` : ''}>${genre}</option>`)}</select></label>
<label>Sort by <select name="sort">${found.sorts.map(sort => html`<option value="${sort}"${sort === (query.sort ?? 'popular') ? html` selected` : ''}>${sortNames[sort]}</option>`)}</select></label>
<button>Show</button></form>`
}

function pager(query, { page: current, pages }) {
  if (pages < 2) return ''
  const link = (to, text, rel) =>
    to < 1 || to > pages
      ? html`<span class="off">${text}</span>`
      : html`<a rel="${rel}" href="${linkTo(query, { page: to })}">${text}</a>`
  return html`<nav class="pager" aria-label="Pages">${link(current - 1, '← Back', 'prev')}<span>Page ${current} of ${pages}</span>${link(current + 1, 'Next →', 'next')}</nav>`
}

export function listPage(query, found) {
  const heading = query.q ? `Results for “${query.q}”` : query.genre || 'Now showing'
  const count = `${found.total.toLocaleString('en')} ${found.total === 1 ? 'film' : 'films'}`
  return {
    title: heading,
    search: query.q,
    body: html`<div class="headline"><h1>${heading}</h1><p class="soft">${count}</p></div>
${filters(query, found)}
${found.total === 0 ? html`<p class="empty">No film fits. <a href="/">Show all films</a>.</p>` : html`<ul class="grid">${found.films.map(card)}</ul>`}
${pager(query, found)}`,
  }
}

function factsOf(film) {
  const facts = [
    ['Director', film.director],
    ['Length', film.minutes && `${film.minutes} minutes`],
    ['Certificate', film.certificate],
    ['Distributor', film.distributor],
    ['Based on', film.source],
    ['Critics', film.critics !== null && `${film.critics} %`],
    ['Viewers', film.rating && `${film.rating.toFixed(1)} of 10 (${film.votes.toLocaleString('en')} votes)`],
    ['Box office', film.gross && `$${millions.format(film.gross)}`],
  ]
  return facts
    .filter(([, value]) => value)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)
}

export function filmPage({ film, screenings }) {
  const dates = [...new Set(screenings.map(one => one.date))]
  return {
    title: film.title,
    body: html`<article class="film"><div class="film-poster">${poster(film)}</div><div>
<p class="soft">${film.genre} · ${film.year ?? 'year unknown'}</p><h1>${film.title}</h1><dl class="facts">${factsOf(film)}</dl>
<h2>Screenings</h2>${dates.map(
      date =>
        html`<section class="day"><h3>${dayOf(date)}</h3><ul class="times">${screenings
          .filter(one => one.date === date)
          .map(
            one =>
              html`<li><a class="time" href="${pathOf(film)}/screenings/${one.id}"><strong>${one.time}</strong><span>${one.hall} · ${money(one.cents)}</span></a></li>`,
          )}</ul></section>`,
    )}</div></article>`,
  }
}

function seatBox(row, number, screening, chosen) {
  const seat = `${row}${number}`
  const taken = screening.taken.includes(seat)
  return html`<label class="seat" style="grid-column:${number + (number > screening.seatsPerRow / 2 ? 2 : 1)}"><input type="checkbox" name="seat" value="${seat}"${taken ? html` disabled` : ''}${!taken && chosen.includes(seat) ? html` checked` : ''}><span title="Row ${row}, seat ${number}"><span class="hidden">Row ${row}, seat ${number}${taken ? ', sold' : ''}</span></span></label>`
}

export function seatsPage({ film, screening }, { key, refused = '', values = {} }) {
  const numbers = Array.from({ length: screening.seatsPerRow }, (_, index) => index + 1)
  const chosen = values.seats ?? []
  const base = `${pathOf(film)}/screenings/${screening.id}`
  return {
    title: `Seats for ${film.title}`,
    script: true,
    body: html`<p class="crumbs"><a href="${pathOf(film)}">← ${film.title}</a></p>
<h1>${film.title}</h1><p class="soft">${dayOf(screening.date)}, ${screening.time} · ${screening.hall} · ${money(screening.cents)} a seat</p>
${refused && html`<p class="refused" role="alert">${refused}</p>`}
<form method="post" action="${base}/orders" class="checkout" data-events="/api${base}/events" data-cents="${screening.cents}" data-seats-max="${screening.seatsPerOrder}">
<fieldset class="house"><legend>Choose up to ${screening.seatsPerOrder} seats</legend><div class="screen" aria-hidden="true">screen</div>
${screening.rows.map(row => html`<div class="row"><span class="row-name" aria-hidden="true">${row}</span>${numbers.map(number => seatBox(row, number, screening, chosen))}</div>`)}
<p class="legend"><span class="dot free"></span> free <span class="dot picked"></span> yours <span class="dot sold"></span> sold</p></fieldset>
<div class="pay"><h2>Your order</h2><p id="sum" aria-live="polite">${money(screening.cents)} a seat.</p>
<label>Name <input name="name" required maxlength="100" autocomplete="name" value="${values.name ?? ''}"></label>
<label>Email <input name="email" type="email" required maxlength="200" autocomplete="email" value="${values.email ?? ''}"></label>
<input type="hidden" name="key" value="${key}"><button class="buy">Buy tickets</button><p class="soft small">No money moves: this is an example.</p></div></form>`,
  }
}

export function orderPage({ film, order }) {
  const { screening } = order
  return {
    title: 'Your tickets',
    body: html`<div class="done"><p class="tick" aria-hidden="true">✓</p><h1>Enjoy the film, ${order.name}</h1>
<p class="soft">Order ${order.id.slice(0, 8)} · sent to nobody at ${order.email}</p>
<ul class="tickets">${order.seats.map(seat => html`<li class="ticket"><div><p class="soft small">${screening.hall}</p><p class="ticket-title">${film.title}</p><p>${dayOf(screening.date)}, ${screening.time}</p></div><p class="ticket-seat"><span class="soft small">seat</span>${seat}</p></li>`)}</ul>
<p><strong>${money(order.cents)}</strong> for ${order.seats.length} ${order.seats.length === 1 ? 'seat' : 'seats'}. <a href="/">More films</a></p></div>`,
  }
}

export function errorPage(status, message) {
  const heading = status === 404 ? 'Not on our programme' : 'The projector stopped'
  return {
    title: heading,
    body: html`<div class="done"><h1>${heading}</h1><p class="soft">${message}</p><p><a href="/">All films</a></p></div>`,
  }
}
