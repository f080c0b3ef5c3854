{{ gcp_focus(ref('stg_gcp_billing__lines')) }}
