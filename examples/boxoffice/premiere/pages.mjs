// Pages of the premiere and of signing in, as functions from data to HTML. They work without JavaScript.

import { html } from '../web/html.mjs'
import { cents, seatName, seatsPerOrder } from './house.mjs'

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })
const money = amount => euros.format(amount / 100)
const clock = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long', timeZone: 'UTC' })

function wayIn({ free, person, opensAt }) {
  if (free === 0) return html`<p class="notice">Every seat is sold. Thank you for coming.</p>`
  const when = opensAt
    ? html`<p class="soft">Seats are given out from ${clock.format(opensAt)}. Those who are here before are drawn by lot; nobody gains by being early.</p>`
    : ''
  return html`${when}<p class="ways"><a class="button" href="${person ? '/premiere/seats' : '/sign-in?next=/premiere/seats'}">Get tickets</a></p>
<p class="soft small">${person ? html`Signed in as ${person.name}.` : html`You will be asked to <a href="/sign-in?next=/premiere">sign in</a> first.`}</p>`
}

export function premierePage({ free, total, person, opensAt, each }) {
  return {
    title: 'The premiere',
    body: html`<article class="premiere"><p class="soft">One evening · one showing · ${total} seats</p>
<h1>The last reel</h1><p class="lead">A film that nobody has seen, found in a basement in Lisbon and restored frame by frame. Shown once, in the great hall.</p>
<dl class="facts"><div><dt>Seats</dt><dd>${free === 0 ? 'Sold out' : `${total}, at ${money(cents)}`}</dd></div><div><dt>Each guest</dt><dd>${each} at most</dd></div><div><dt>Hall</dt><dd>Aurora, the great hall</dd></div></dl>
${wayIn({ free, person, opensAt })}</article>`,
  }
}

export function seatsPage({ free, person, key, each, refused = '' }) {
  const amounts = Array.from({ length: Math.min(each, seatsPerOrder) }, (_, index) => index + 1)
  return {
    title: 'Your seats',
    body: html`<article class="premiere"><p class="crumbs"><a href="/premiere">← The premiere</a></p><h1>Your seats, ${person.name}</h1>
<p class="soft">You get the best that are free. It is your turn now; your place is kept for ten minutes.</p>
${refused && html`<p class="refused" role="alert">${refused}</p>`}
${
  free === 0
    ? html`<p class="notice">Every seat is sold.</p>`
    : html`<form class="pay slip" method="post" action="/premiere/orders">
<label>Seats <select name="seats">${amounts.map(amount => html`<option value="${amount}">${amount} · ${money(amount * cents)}</option>`)}</select></label>
<input type="hidden" name="key" value="${key}"><button class="buy">Buy tickets</button><p class="soft small">No money moves: this is an example.</p></form>`
}</article>`,
  }
}

export function ticketsPage({ order }) {
  return {
    title: 'Your tickets',
    body: html`<div class="done"><p class="tick" aria-hidden="true">✓</p><h1>See you there, ${order.name}</h1><p class="soft">Order ${order.id.slice(0, 8)}</p>
<ul class="tickets">${order.seats.map(seat => html`<li class="ticket"><div><p class="soft small">Aurora, the great hall</p><p class="ticket-title">The last reel</p><p>One showing</p></div><p class="ticket-seat"><span class="soft small">seat</span>${seatName(seat)}</p></li>`)}</ul>
<p><strong>${money(order.cents)}</strong> for ${order.seats.length} ${order.seats.length === 1 ? 'seat' : 'seats'}. <a href="/">More films</a></p></div>`,
  }
}

export function signInPage({ next, refused = '' }) {
  return {
    title: 'Sign in',
    body: html`<div class="done"><h1>Sign in</h1><p class="soft">So that everybody gets a fair share. We send nothing; any address will do.</p>
${refused && html`<p class="refused" role="alert">${refused}</p>`}
<form class="pay slip" method="post" action="/sign-in"><label>Name <input name="name" required maxlength="100" autocomplete="name"></label>
<label>Email <input name="email" type="email" required maxlength="200" autocomplete="email"></label>
<input type="hidden" name="next" value="${next}"><button class="buy">Go on</button></form></div>`,
  }
}
