{{ azure_focus(source('bronze', 'azure_amortized'), is_actual=false) }}
