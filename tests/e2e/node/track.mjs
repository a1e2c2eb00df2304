// Sends one of every event that the official Node tracker builds, each with one entity, then prints their ids.
import {
  buildAdClick, buildAdConversion, buildAdImpression, buildAddToCart, buildConsentGranted, buildConsentWithdrawn,
  buildEcommerceTransaction, buildEcommerceTransactionItem, buildFormFocusOrChange, buildFormSubmission,
  buildLinkClick, buildPagePing, buildPageView, buildRemoveFromCart, buildScreenView, buildSelfDescribingEvent,
  buildSiteSearch, buildSocialInteraction, buildStructEvent, newTracker,
} from '@snowplow/node-tracker';

const [port, eventMethod] = process.argv.slice(2);
const tracker = newTracker(
  { namespace: 'node', appId: 'e2e-node', encodeBase64: eventMethod === 'get' },
  { endpoint: '127.0.0.1', protocol: 'http', port: Number(port), eventMethod, bufferSize: 5 },
);
tracker.setUserId('κόσμος@example.com');
tracker.setUseragent('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0');

const page = { pageUrl: 'https://shop.example.com/a?utm_source=x&q=caf%C3%A9#top', pageTitle: 'Καφές 🛒', referrer: 'https://ref.example.org/' };
const link = { schema: 'iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1', data: { targetUrl: 'https://x.example.com/' } };
const events = [
  buildPageView(page),
  buildPagePing({ ...page, minXOffset: 1, maxXOffset: 2, minYOffset: 3, maxYOffset: 4 }),
  buildStructEvent({ category: 'c', action: 'a', label: 'l', property: 'p', value: 12.5 }),
  buildSelfDescribingEvent({ event: link }),
  buildLinkClick({ targetUrl: 'https://y.example.com/', elementId: 'e' }),
  buildAddToCart({ sku: 's', name: 'n', category: 'c', unitPrice: 9.99, quantity: 2, currency: 'EUR' }),
  buildRemoveFromCart({ sku: 's', name: 'n', category: 'c', unitPrice: 9.99, quantity: 1, currency: 'EUR' }),
  buildEcommerceTransaction({ orderId: 'o-1', total: 20.5, affiliation: 'f', tax: 1, shipping: 2, city: 'Athens', state: 'A', country: 'GR', currency: 'EUR' }),
  buildEcommerceTransactionItem({ orderId: 'o-1', sku: 's', price: 9.99, name: 'n', category: 'c', quantity: 2, currency: 'EUR' }),
  buildSiteSearch({ terms: ['a', 'b'], totalResults: 3, pageResults: 1 }),
  buildSocialInteraction({ action: 'like', network: 'n', target: 't' }),
  buildScreenView({ name: 'screen', id: '6c84fb90-12c4-11e1-840d-7b25c5ee775a' }),
  buildFormFocusOrChange({ schema: 'change_form', formId: 'f', elementId: 'e', nodeName: 'INPUT', value: 'v', elementClasses: [], type: 'text' }),
  buildFormSubmission({ formId: 'f', formClasses: [], elements: [] }),
  buildAdImpression({ impressionId: 'i', costModel: 'cpm', cost: 1, targetUrl: 'https://ad.example.com/', bannerId: 'b', zoneId: 'z', advertiserId: 'a', campaignId: 'c' }),
  buildAdClick({ targetUrl: 'https://ad.example.com/', clickId: 'k', costModel: 'cpc', cost: 1, bannerId: 'b', zoneId: 'z', impressionId: 'i', advertiserId: 'a', campaignId: 'c' }),
  buildAdConversion({ conversionId: 'v', costModel: 'cpa', cost: 1, category: 'c', action: 'a', property: 'p', initialValue: 1, advertiserId: 'a', campaignId: 'c' }),
  buildConsentGranted({ id: 'd', version: '1', name: 'n', description: 'x', expiry: '2030-01-01T00:00:00.000Z' }).event,
  buildConsentWithdrawn({ all: true, id: 'd', version: '1', name: 'n', description: 'x' }).event,
];

const entity = { schema: 'iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0', data: { id: 'a86c42e5-b831-45c8-b706-e214c26b4b3d' } };
const sent = events.map((event) => tracker.track(event, [entity]));
await tracker.flush();
console.log(JSON.stringify(sent.map((payload) => payload.eid)));
