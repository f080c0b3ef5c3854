"""The columns of Azure's cost details by type, and the names under which each comes.

Every generation of exports renamed them: pay-as-you-go v1 (PreTaxCost), EA (CostInBillingCurrency), Customer 360 (Cost), MCA in camel case,
and all of them localised, with the English name in brackets. Headers are compared without case, blanks and punctuation.
Document: Microsoft Learn, "Understand the cost details file fields".
"""

# UTC days: `M/D/YYYY`, `MM/DD/YYYY` or ISO.
DAYS = frozenset({"billing_period_end_date", "billing_period_start_date", "date"})

# Money, prices, rates and quantities: DECIMAL(38,18).
AMOUNTS = frozenset(
    """
    cost_in_billing_currency cost_in_pricing_currency cost_in_usd effective_price exchange_rate_pricing_to_billing pay_g_price
    payg_cost_in_billing_currency payg_cost_in_usd quantity unit_price
    """.split()
)

TEXTS = frozenset(
    """
    account_id account_name additional_info availability_zone benefit_id benefit_name billing_account_id billing_account_name
    billing_currency billing_profile_id billing_profile_name charge_type consumed_service cost_allocation_rule_name cost_center
    customer_name customer_tenant_id exchange_rate_date frequency invoice_id invoice_section_id invoice_section_name
    is_azure_credit_eligible location meter_category meter_id meter_name meter_region meter_sub_category offer_id part_number partner_name
    partner_tenant_id plan_name previous_invoice_id pricing_currency pricing_model product_id product_name product_order_id
    product_order_name provider publisher_id publisher_name publisher_type reseller_mpn_id reseller_name reservation_id reservation_name
    resource_group resource_id resource_location resource_location_normalized resource_name resource_type service_family service_info1
    service_info2 service_name service_period_end_date service_period_start_date service_tier subscription_id subscription_name tags term
    unit_of_measure
    """.split()
)

# Bronze name → the names it comes under beside its own, best first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "billing_currency": ("billingcurrencycode", "billingcurrency", "currencycode", "currency"),
    "cost_in_billing_currency": ("costinbillingcurrency", "cost", "pretaxcost"),
    "date": ("date", "usagedatetime", "usagedate"),
    "effective_price": ("effectiveprice", "resourcerate"),
    "invoice_section_name": ("invoicesectionname", "invoicesection"),
    "pricing_currency": ("pricingcurrency", "pricingcurrencycode"),
    "product_name": ("productname", "product"),
    "quantity": ("quantity", "usagequantity", "consumedquantity"),
    "resource_group": ("resourcegroup", "resourcegroupname"),
    # InstanceName is the resource's id too, where there is neither of the others (koku's and OpenCost's samples of MCA)
    "resource_id": ("resourceid", "instanceid", "instancename"),
    "subscription_id": ("subscriptionid", "subscriptionguid"),
}

# The account owner's e-mail address: a person's id is not carried into bronze (law 10); landing has it.
DROPPED = frozenset({"accountownerid"})
