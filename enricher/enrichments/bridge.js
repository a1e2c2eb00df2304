// What a script of the javascript_script enrichment finds around it: the event with Snowplow's getters and setters,
// and names of Java that say why they are missing. Read once per engine, before the script: what that defines wins.
// `columns` is an array of column names, `params` the configuration's.
(function (columns, params) {
  "use strict";
  var parse = JSON.parse, stringify = JSON.stringify;

  var uri = /^iglu:[\w.-]+\/[\w-]+\/[\w-]+\/[1-9][0-9]*(-(0|[1-9][0-9]*)){2}$/;

  function isSelfDescribing(json) {
    return json !== null && typeof json === "object" && typeof json.schema === "string" && uri.test(json.schema) &&
      "data" in json;
  }

  function checked(column, value) {
    if (value === null || value === undefined) { return null; }
    var json;
    try { json = parse(value); } catch (error) { json = null; }
    var inner = column === "unstruct_event"
      ? isSelfDescribing(json) && isSelfDescribing(json.data)
      : isSelfDescribing(json) && Array.isArray(json.data) && json.data.every(isSelfDescribing);
    if (!inner) { throw new Error("invalid " + column + " json: " + value); }
    return value;
  }

  function Event(values) {
    this.values = values;
    this.changed = Object.create(null);
    this.dropped = false;
    this.erased = false;
  }
  Event.prototype.drop = function () { this.dropped = true; };
  Event.prototype.eraseDerived_contexts = function () { this.erased = true; };

  columns.forEach(function (column) {
    var title = column.charAt(0).toUpperCase() + column.slice(1);
    var isJson = column === "unstruct_event" || column === "contexts";
    var get = function () { var value = this.values[column]; return value === undefined ? null : value; };
    var set = function (value) {
      this.values[column] = isJson ? checked(column, value) : value === undefined ? null : value;
      // What enrichments attached is written when all are done, over what a script sets.
      if (column !== "derived_contexts") { this.changed[column] = this.values[column]; }
    };
    Event.prototype["get" + title] = get;
    Event.prototype["set" + title] = set;
    Object.defineProperty(Event.prototype, column, { get: get, set: set });
  });

  function missing(name) {
    var refuse = function () {
      throw new Error("Java class " + name + " is not available: scripts run in QuickJS, not on the JVM");
    };
    return new Proxy(refuse, {
      get: function (_, part) { return typeof part === "symbol" ? undefined : missing(name + "." + part); },
      construct: refuse,
      apply: refuse
    });
  }
  ["java", "javax", "javafx", "com", "org", "Packages"].forEach(function (name) { globalThis[name] = missing(name); });
  globalThis.Java = { type: function (name) { return missing(name)(); } };
  globalThis.print = function () {};

  return function (text) {
    var input = parse(text);
    var event = new Event(input.event);
    // Without a prototype, so that no script's `toJSON` can speak for it.
    var output = Object.create(null);
    try {
      // The JSON of what came back; a function has none, like undefined.
      output.result = stringify(process(event, params, input.headers));
    } catch (error) {
      // QuickJS throws null where memory ends.
      output.error = error === null ? "out of memory" : String(error);
    }
    output.changed = event.changed;
    output.dropped = event.dropped;
    output.erased = event.erased;
    return stringify(output);
  };
})
